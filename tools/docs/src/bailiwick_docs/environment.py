"""What the environment may say besides the services' settings; each name with what it is for.

docs/configuration.md has these tables. A test holds that code asks for exactly these names, and that
OpenTelemetry knows those that are its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bailiwick_docs.checkout import SERVICES

STANDARD: Mapping[str, str] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where spans go, OTLP over HTTP: `http://collector:4318`. Absent: no"
    " traces.",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "The same as a whole address: `http://collector:4318/v1/traces`.",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "`http/protobuf`, and nothing else.",
    "OTEL_EXPORTER_OTLP_HEADERS": "Headers sent with them, `name=value,name=value`, where a collector wants"
    " authentication. A secret.",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "Seconds that sending them may take; default 10.",
    "OTEL_SERVICE_NAME": "The service's name in traces; by default its own: `orders`.",
    "OTEL_RESOURCE_ATTRIBUTES": "Attributes added to every span: `deployment.environment.name=staging`.",
    "OTEL_TRACES_SAMPLER": "Which requests are traced: all by default; `parentbased_traceidratio`: a part.",
    "OTEL_TRACES_SAMPLER_ARG": "The sampler's argument: `0.1` is a tenth.",
    "OTEL_SDK_DISABLED": "`true` switches traces off even with an endpoint set.",
}
"""OpenTelemetry's own, as far as they are of use here; its SDK reads them."""

GATEWAY: Mapping[str, str] = {
    "BAILIWICK_LISTEN": "`host:port` to listen on for clients' requests.",
    "BAILIWICK_ISSUER": "The address that clients use, the same as the services'"
    " `BAILIWICK_ISSUER`; forwarded as `Host`.",
    **{
        f"BAILIWICK_{service.upper()}_UPSTREAM": f"`host:port` of {service}; a name is resolved again every"
        " few seconds, and must be fully qualified, because nginx knows no search domains."
        for service in SERVICES
    },
    "BAILIWICK_TRUSTED_PROXIES": "Networks, separated by spaces, of the proxies in front: their"
    " `X-Forwarded-For` is trusted for the client's address, by which failed sign-ins are counted. Absent:"
    " none is trusted.",
    "BAILIWICK_RESOLVER": "Name servers, separated by spaces; by default those of `/etc/resolv.conf`.",
    "TMPDIR": "The only folder that it writes to; default `/tmp`.",
    "NGINX": "The nginx program; by default the one on PATH.",
}
"""What gateway/start goes by."""

LAUNCHER: Mapping[str, str] = {
    "BAILIWICK_DATA": "The data folder; default `.local` beside the script.",
    "BAILIWICK_USER": "When called by root, the account that everything runs as. By default whoever"
    " called sudo, else `nobody`.",
    "SUDO_USER": "Set by sudo: the account that everything runs as unless `BAILIWICK_USER` is set.",
    "GOFLAGS": "Go's own flags; they are kept where OPA or Helm is built.",
    "BAILIWICK_SERVERS": "`docker`: containers or an error. `native`: processes, even if a Docker daemon"
    " answers. By default containers if possible.",
    "BAILIWICK_POSTGRES_URL": "An existing PostgreSQL, as a superuser: `postgresql://…`. Databases"
    " and roles are created in it.",
    "BAILIWICK_RABBITMQ_URL": "An existing RabbitMQ: `amqp://user:password@host:port/vhost`.",
    "BAILIWICK_RABBITMQ_MANAGEMENT_URL": "Its management API, `http://user:password@host:port`, for"
    " the services' accounts, subscribers and tests. Without it the services share one account.",
    "BAILIWICK_OPA_URL": "An existing OPA that serves our bundle.",
    "BAILIWICK_SMTP_URL": "A mail server that delivers mail for real; by default mail stays in the"
    " mailbox.",
    "BAILIWICK_MAIL_FROM": "The sender of that mail; default `Bailiwick <orders@bailiwick.example>`.",
}
"""What `./bailiwick` goes by."""

TESTS: Mapping[str, str] = {
    "BAILIWICK_NORTHWIND": "The folder of Northwind's CSV files.",
    "BAILIWICK_CASES": "How many requests schemathesis sends to each service; default 1,000.",
    "BAILIWICK_ROUNDS": "How many rolling restarts of each service are made under load; default 1.",
    "BAILIWICK_SEED": "The seed of random requests, worlds and mutants.",
    "BAILIWICK_MUTANTS": "How many of the policy's mutants are tried, or `all`; default 16.",
    "BAILIWICK_TRIPLES": "How many random (caller, row, action) triples are compared; default 10,000.",
    "BAILIWICK_SLOW": "`1` runs the tests marked `slow` too: each stated limit at its real size.",
    "BAILIWICK_CRASH_AT": "Places in the code, separated by commas, where a service ends as if killed. For"
    " tests only.",
}
"""What tests go by."""
