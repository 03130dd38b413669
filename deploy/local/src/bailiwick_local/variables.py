"""What the environment may say besides the services' settings; each name with what it is for.

docs/configuration.md has these tables. A test holds that code asks for exactly these names, and that
OpenTelemetry knows those that are its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bailiwick_local.services import SERVICES

STANDARD: Mapping[str, str] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where spans go, OTLP over HTTP: `http://collector:4318`. Absent: no"
    " traces.",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "The same as a whole address: `http://collector:4318/v1/traces`.",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "`http/protobuf`, and nothing else.",
    "OTEL_EXPORTER_OTLP_HEADERS": "Headers sent with them, `name=value,name=value`, where a collector asks"
    " who sends. A secret.",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "Seconds that sending them may take; 10 unless set.",
    "OTEL_SERVICE_NAME": "The service's name in traces; unless set, its own: `orders`.",
    "OTEL_RESOURCE_ATTRIBUTES": "What every span says besides: `deployment.environment.name=staging`.",
    "OTEL_TRACES_SAMPLER": "Which requests are traced; all unless set, `parentbased_traceidratio` for some.",
    "OTEL_TRACES_SAMPLER_ARG": "The sampler's argument: `0.1` is a tenth.",
    "OTEL_SDK_DISABLED": "`true` switches traces off although there is an endpoint.",
}
"""OpenTelemetry's own, as far as they are of use here; its SDK reads them."""

GATEWAY: Mapping[str, str] = {
    "BAILIWICK_LISTEN": "`host:port` that clients' requests come to.",
    "BAILIWICK_ISSUER": "The address that clients know it by, the same as the services'"
    " `BAILIWICK_ISSUER`: what is handed on as `Host`.",
    **{
        f"BAILIWICK_{service.upper()}_UPSTREAM": f"`host:port` of {service}; a name is looked up again every"
        " few seconds, and has to be whole, because nginx knows no search domains."
        for service in SERVICES
    },
    "BAILIWICK_TRUSTED_PROXIES": "Networks, with spaces between, of proxies in front: their"
    " `X-Forwarded-For` says where a request comes from, which failed sign-ins are counted by. Absent: nobody"
    " is believed.",
    "BAILIWICK_RESOLVER": "Name servers, with spaces between; unless set, those of `/etc/resolv.conf`.",
    "TMPDIR": "The one folder that it writes to; `/tmp` unless set.",
    "NGINX": "The program; unless set, the one on PATH.",
}
"""What deploy/local/gateway-start goes by."""

LAUNCHER: Mapping[str, str] = {
    "BAILIWICK_DATA": "The data folder; `.local` beside the script unless set.",
    "BAILIWICK_USER": "Called by root, whom everything runs as: an account's name. Unless set, who called"
    " sudo; else `nobody`.",
    "SUDO_USER": "Set by sudo: whom everything runs as where `BAILIWICK_USER` says nothing.",
    "BAILIWICK_SERVERS": "`docker`: containers or nothing. `native`: processes, even where a Docker daemon"
    " answers. Unless set, containers where they can be had.",
    "BAILIWICK_POSTGRES_URL": "PostgreSQL that is there already: a superuser's `postgresql://…`. Databases"
    " and roles are made in it.",
    "BAILIWICK_RABBITMQ_URL": "RabbitMQ that is there already: `amqp://user:password@host:port/vhost`.",
    "BAILIWICK_RABBITMQ_MANAGEMENT_URL": "Its management API, `http://user:password@host:port`, for"
    " subscribers and tests.",
    "BAILIWICK_OPA_URL": "An OPA that is there already, and serves our bundle.",
    "BAILIWICK_SMTP_URL": "A mail server that mail goes out by, for real; unless set it stays in the"
    " mailbox.",
    "BAILIWICK_MAIL_FROM": "Whom that mail comes from; `Bailiwick <orders@bailiwick.example>` unless set.",
}
"""What `./bailiwick` goes by."""

TESTS: Mapping[str, str] = {
    "BAILIWICK_NORTHWIND": "The folder of Northwind's CSV files.",
    "BAILIWICK_CASES": "How many requests schemathesis makes of each service; 1,000 unless set.",
    "BAILIWICK_SEED": "What random requests, worlds and mutants begin from.",
    "BAILIWICK_MUTANTS": "How many of the policy's mutants are tried, or `all`; 16 unless set.",
    "BAILIWICK_TRIPLES": "How many (caller, row, action) random worlds come to; 10,000 unless set.",
    "BAILIWICK_CRASH_AT": "Places in the code, with commas, where a service ends as if killed. For tests"
    " alone.",
}
"""What tests go by."""
