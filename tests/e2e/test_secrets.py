"""Every kind of secret, used in every way that a secret is, is nowhere in clear afterwards (S22).

A stack of our own, whose OPAs log their decisions as an operator would have them do, is told distinctive
secrets and personal data (`bailiwick_testkit.security.secret_scenarios`, `operator_scenarios`). Then all that
it wrote, said and sent is searched. Each place is also searched for something that is in it: a test that
looked past it is red.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest

from bailiwick_launcher import broker
from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process
from bailiwick_launcher.servers import daemon
from bailiwick_launcher.services import SERVICES
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_testkit.checkout import CHECKOUT, files
from bailiwick_testkit.checks.spans import collecting
from bailiwick_testkit.fakes.smtp_thread import post_office
from bailiwick_testkit.fakes.subscriber import Ear
from bailiwick_testkit.security import artefacts, operator_scenarios, secret_scenarios
from bailiwick_testkit.security.canaries import Canary, Hit, search
from bailiwick_testkit.security.secret_scenarios import (
    KEPT,
    SMTP_PASSWORD,
    SMTP_USER,
    TRACE,
    WORDS,
    Case,
)
from bailiwick_testkit.servers.real import Servers, report
from bailiwick_testkit.servers.stack import Running
from bailiwick_testkit.services.company import a_company

pytestmark = [
    pytest.mark.faults,
    # The made-up mail server lets people in without TLS, on loopback.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

QUICK = {
    "BAILIWICK_PASSWORD_TIME_COST": "2",
    "BAILIWICK_PASSWORD_MEMORY_KIB": "19456",
    "BAILIWICK_PASSWORD_PARALLELISM": "1",
    "BAILIWICK_MAIL_RETRY_AFTER": "0.5",
}
LOGGED = ("decision_logs.console=true", "decision_logs.request_context.http.headers[0]=traceparent")
"""What an operator sets to have OPA log its decisions, and the request that each was for."""
PLACES = (
    *("logs", "databases", "events", "broker", "mails", "answers", "commands", "arguments"),
    *("operations", "spans"),
)
SHOWN = {
    ("access token", "POST-v1-auth-token-200"),
    ("refresh token", "POST-v1-auth-token-200"),
    ("client secret", "POST-v1-service-accounts-201"),
}
"""What is given to whom it belongs, and the one answer that gives it."""


@dataclass
class Found:
    """What was gathered, and what is not to be in it."""

    case: Case
    folder: Path
    hits: Mapping[str, list[Hit]]
    definitions: Mapping[str, Any]
    events: int
    passwords: list[str] = field(repr=False)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Give the lines of a log, each of them JSON."""
        text = (self.folder / "logs" / f"{name}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def told_to_log(stack: NativeStack) -> None:
    """Have every OPA log its decisions."""
    for service, server in stack.policies.items():
        assert isinstance(server.runner, Process)
        settings = [word for setting in LOGGED for word in ("--set", setting)]
        arguments = (*server.runner.arguments, *settings)
        stack.policies[service] = replace(
            server, runner=replace(server.runner, arguments=arguments)
        )


@pytest.fixture(scope="module")
def found(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Do everything, gather everything, and search it."""
    places, folder = (
        DataFolder(servers.places.data / "secrets"),
        tmp_path_factory.mktemp("evidence"),
    )
    places.write(places.folder(".") / "kept.json", json.dumps({"secrets": KEPT}))
    users = {SMTP_USER: SMTP_PASSWORD}
    with (
        pytest.MonkeyPatch.context() as patched,
        artefacts.started_programs() as started,
        post_office(places.kept.port("office"), users) as office,
        collecting() as collector,
    ):
        # As processes, whose arguments and files can be looked at.
        patched.setenv(daemon.VARIABLE, daemon.NATIVE)
        signed_in = f"{quote(SMTP_USER, safe='')}:{quote(SMTP_PASSWORD, safe='')}"
        smtp = office.server.url.replace("://", f"://{signed_in}@")
        settings = {
            **QUICK,
            "BAILIWICK_SMTP_URL": smtp,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            # No deadline is tried here: what two cores cannot answer in time is not to end the story.
        }
        stack = NativeStack(places, report, settings=settings, own=True)
        told_to_log(stack)
        stack.up()
        try:
            with a_company(running := Running(stack)) as company:
                tap = artefacts.Tap(stack.rabbitmq.url)
                tap.open()
                ear = Ear(stack.rabbitmq.url, company.org_id)
                case = Case(running, company, office, ear, folder)
                passwords = provoked(case)
                events = gathered(case, tap, started)
        finally:
            stack.down()
        artefacts.of_spans(collector, folder / "spans")
        definitions = json.loads((folder / "broker" / "definitions.json").read_text())
        hits = {place: search(folder, case.secrets, [place]) for place in PLACES}
        yield Found(case, folder, hits, definitions, events, passwords)


def provoked(case: Case) -> list[str]:
    """Do everything that touches a secret."""
    known(case)
    answers = artefacts.Answers(case.folder / "answers")
    case.http.event_hooks = {"response": [answers.hear]}
    password = secret_scenarios.people_work(case)
    secret_scenarios.sign_ins(case, password)
    secret_scenarios.bodies(case)
    secret_scenarios.change_feeds(case)
    operator_scenarios.refused_mail(case)
    passwords = operator_scenarios.subscribers(case)
    operator_scenarios.dead_letters(case)
    operator_scenarios.wrong_settings(case)
    operator_scenarios.broker_away(case)
    operator_scenarios.database_away(case)
    operator_scenarios.service_away(case)
    return passwords


def known(case: Case) -> None:
    """Look for the secrets that the stack has had from its beginning, too."""
    for name, secret in KEPT.items():
        case.plant(name, secret)
    case.plant("smtp", SMTP_PASSWORD)
    case.plant("access token", case.company.boss.token.rpartition(".")[2])
    for service in SERVICES:
        urls = case.stack.database(service)
        for url in (urls.owner, urls.api, urls.worker):
            case.plant("database role", unquote(str(urlsplit(url).password)))
    for account in broker.ACCOUNTS:
        password = urlsplit(case.stack.broker(account)).password
        case.plant("account of the broker", str(password))
    file = case.stack.places.folder("identity") / "signing-keys.json"
    private = json.loads(file.read_text())["keys"][0]["d"]
    case.plant("signing key", private)
    case.plant("signing key", base64.urlsafe_b64decode(private + "="))


def gathered(case: Case, tap: artefacts.Tap, started: list[str]) -> int:
    """Write down all that can be seen of the stack, and return how many events there were."""
    folder, stack = case.folder, case.stack
    for service in SERVICES:
        artefacts.of_database(case.dsn(service), folder / "databases" / service)
    events = tap.pour(folder / "events")
    artefacts.of_broker(stack.rabbitmq.management, folder / "broker")
    artefacts.of_mails(case.office.server.accepted, folder / "mails")
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        case.sql(f"SELECT '{TRACE}'::int", "identity")
    (folder / "arguments").mkdir()
    (folder / "arguments" / "started").write_text("\n".join(started))
    (folder / "arguments" / "running").write_text("\n".join(artefacts.running_programs()))
    artefacts.of_operations(
        [stack.operations(service) for service in SERVICES], folder / "operations"
    )
    shutil.copytree(stack.places.folder("logs"), folder / "logs")
    return events


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_there_in_clear(found: Found, place: str) -> None:
    hits = [hit for hit in found.hits[place] if not is_meant(hit)]
    assert hits == [], "by kind, form and place"


def is_meant(hit: Hit) -> bool:
    """Tell whether that is where somebody is given what is theirs."""
    of_subscriber = hit.kind == "subscriber's password"
    return (of_subscriber and hit.place.endswith("notifier-subscribers")) or any(
        hit.kind == kind and hit.place.endswith(answer) for kind, answer in SHOWN
    )


def test_each_that_is_given_was_seen_where_it_is_given(found: Found) -> None:
    given = {hit.kind for place in PLACES for hit in found.hits[place] if is_meant(hit)}
    assert given == {"subscriber's password", *(kind for kind, _ in SHOWN)}


def test_no_log_and_no_span_holds_personal_data(found: Found) -> None:
    words = [Canary(kind, value) for kind, value in WORDS.items()]
    assert search(found.folder, words, ["logs", "spans"]) == []


def controls(case: Case) -> Iterator[tuple[str, str]]:
    """Give what is surely in each place, by the files that it is in."""
    boss, name = case.company.boss, WORDS["customer's name"]
    for service in SERVICES:
        yield f"logs/{service}.log", TRACE
        yield f"logs/opa-{service}.log", boss.member_id
        yield f"databases/{service}/public.members.txt", WORDS["member's name"]
    yield "logs/gateway.log", TRACE
    yield "logs/postgres.log", TRACE
    yield "logs/rabbitmq.log", f"subscriber.{case.company.org_id}.erp"
    yield "databases/customers/public.outbox.body.bytes", name
    yield "databases/identity/public.outbox.body.bytes", WORDS["member's address"]
    yield "databases/orders/public.orders.txt", WORDS["note"]
    yield "databases/notifier/public.notices.txt", name
    yield "databases/identity/pg_catalog.pg_authid.txt", "SCRAM-SHA-256"
    yield "events/*.body", name
    yield "events/*.headers", TRACE
    yield "broker/definitions.json", f"subscriber.{case.company.org_id}.erp"
    yield "mails/*.txt", name
    yield "answers/*-POST-v1-customers-201", name
    yield "answers/*-500", "internal"
    yield "commands/*", "subscriber."
    yield "commands/*-identity-migrate", "process.failed"
    yield "arguments/started", "initdb"
    yield "arguments/running", "bailiwick_identity serve"
    yield "operations/*-ready", "database"
    yield "spans/sent", "send mail"
    yield "spans/spans.txt", TRACE


def test_every_place_is_searched_and_would_show_what_is_in_it(found: Found) -> None:
    for pattern, value in controls(found.case):
        there = [str(file.relative_to(found.folder)) for file in found.folder.glob(pattern)]
        assert there, f"there is no {pattern}"
        assert search(found.folder, [Canary("control", value)], there), f"nothing in {pattern}"
    assert found.events > len(SERVICES)


def test_what_was_to_go_wrong_went_wrong(found: Found) -> None:
    said = {name: {str(line.get("event")) for line in found.lines(name)} for name in SERVICES}
    assert {"request.failed", "session.refresh_token_reused", "dependency.unavailable"} <= said[
        "identity"
    ]
    assert {"request.failed", "dependency.unavailable"} <= said["customers"]
    assert {"relay.interrupted", "policy.refused"} <= said["orders"] | said["identity"]
    assert {"consumer.dead_lettered", "consumer.handler_failed", "mail.put_off"} <= said["notifier"]


def test_secrets_lie_in_the_files_that_are_for_them_and_nobody_else_reads_those(
    found: Found,
) -> None:
    places = found.case.stack.places
    lie: dict[str, set[str]] = {}
    for hit in search(places.data, found.case.secrets):
        lie.setdefault(hit.place, set()).add(hit.kind)
    assert lie == {
        "kept.json": {"door", "cursor", "postgres", "rabbitmq"},
        "rabbitmq/rabbitmq.conf": {"rabbitmq"},
        "identity/signing-keys.json": {"signing key"},
    }
    for name in lie:
        seen = (places.data / name).stat()
        assert (seen.st_mode & 0o777, seen.st_uid) == (0o600, places.account.uid)


def rows(found: Found, table: str) -> list[list[str]]:
    text = (found.folder / "databases" / "identity" / f"public.{table}.txt").read_text()
    return [line.split("\t") for line in text.splitlines()]


def test_passwords_are_kept_as_argon2id_and_tokens_as_hashes(found: Found) -> None:
    accounts = rows(found, "accounts")
    assert len(accounts) == 3
    assert all(row[2].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in accounts)
    for table, kind in (("refresh_tokens", "refresh token"), ("service_secrets", "client secret")):
        text = "\n".join("\t".join(row) for row in rows(found, table))
        planted = [one.value for one in found.case.secrets if one.kind == kind]
        digests = [hashlib.sha256(str(one).encode()).hexdigest() for one in planted]
        assert digests
        assert all(digest in text for digest in digests)


def test_the_broker_keeps_hashes_of_passwords(found: Found) -> None:
    users = found.definitions["users"]
    assert len(users) == len(broker.ACCOUNTS) + 2  # the administrator, and a subscriber
    for user in users:
        assert user["hashing_algorithm"] == "rabbit_password_hashing_sha256"
        assert len(base64.b64decode(user["password_hash"])) == 36
        assert not user.keys() & {"password"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_line_about_a_request_names_its_trace(found: Found, service: str) -> None:
    lines = found.lines(service)
    text = (found.folder / "logs" / f"{service}.log").read_text()
    assert len(lines) == len(text.splitlines()), "each line is JSON"
    requests = [line for line in lines if line["event"] == "request"]
    assert requests
    of_requests = {"request", "request.failed", "dependency.unavailable", "policy.refused"}
    for line in lines:
        if line["event"] in of_requests:
            assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])


def test_a_refusal_can_be_followed_from_the_log_to_the_decision(found: Found) -> None:
    lines = found.lines("identity")
    [refused] = [line for line in lines if line["event"] == "policy.refused"]
    assert refused["trace_id"] == TRACE
    assert refused["reasons"] == ["capability-missing"]
    [request] = [line for line in lines if line["event"] == "request" and line["status"] == 403]
    assert request["decision_ids"] == [refused["decision_id"]]
    [decision] = [
        line
        for line in found.lines("opa-identity")
        if line.get("decision_id") == refused["decision_id"]
    ]
    assert decision["result"]["reasons"] == refused["reasons"]
    # A filter has no id of its own in OPA 1.22: it is found by the request that it was for. What is asked
    # before a service is ready is for none.
    asked = [
        line for line in found.lines("opa-orders") if line.get("path", "").endswith("/include")
    ]
    assert TRACE in json.dumps([line.get("request_context") for line in asked])


def test_no_file_of_the_project_holds_a_secret(found: Found) -> None:
    tracked = [str(file) for file in files()]
    assert search(CHECKOUT, found.case.secrets, tracked) == []
    assert search(CHECKOUT, [Canary("control", "Apache License")], tracked)
