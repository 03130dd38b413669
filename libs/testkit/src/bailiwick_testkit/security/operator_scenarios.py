"""What operators do with secrets, and do wrong, to a stack that was told distinctive ones (`provoking`)."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

from bailiwick_kit.bus.messages import to_message
from bailiwick_testkit.fakes.subscriber import deliver
from bailiwick_testkit.security.secret_scenarios import (
    PLACED,
    SMTP_PASSWORD,
    SMTP_USER,
    TRACED,
    WORDS,
    Case,
    made_up,
)
from bailiwick_testkit.services.orders import an_order
from bailiwick_testkit.waiting import wait_until


def subscribers(case: Case) -> list[str]:
    """Let another system in, list it, give it another password and shut it out; give its passwords."""
    options = ("--org", case.company.org_id, "--name", "erp")
    told = [
        case.run("notifier", "subscribers", command, *options, succeeds=True).stdout
        for command in ("add", "rotate")
    ]
    case.run("notifier", "subscribers", "list", *options[:2], succeeds=True)
    passwords = [text.split("password  ")[1].split("\n")[0] for text in told]
    for password in passwords:
        case.plant("subscriber's password", password)
    broker = urlsplit(case.stack.rabbitmq.url)
    host = f"{broker.hostname}:{broker.port}"
    gone = f"amqp://{quote(f'subscriber.{case.company.org_id}.erp')}:{passwords[0]}@{host}/"
    case.run("notifier", "dead-letters", "list", BROKER_URL=gone)
    wrong = f"http://u:{quote(case.plant('wrong management password'), safe='')}@{host}"
    case.run("notifier", "subscribers", "list", *options[:2], BROKER_MANAGEMENT_URL=wrong)
    return passwords


def dead_letters(case: Case) -> None:
    """Have events fail that tell of somebody, and look at them as an operator does."""
    heard = next(one for one in case.ear.listen() if one.type == PLACED)
    body = json.loads(heard.body)
    unreadable = {**body, "lines": WORDS["note"]}
    # PostgreSQL takes no NUL, and shows the text around it.
    unwritable = {**body, "order_id": str(uuid4()), "customer_name": WORDS["note"] + "\0"}
    ids = [uuid4(), uuid4()]
    for event_id, event in zip(ids, (unreadable, unwritable), strict=True):
        message = to_message(
            event_id=event_id,
            event_type=PLACED,
            source="/orders",
            subject=heard.subject,
            time=datetime.now(UTC),
            body=json.dumps(event).encode(),
            trace_parent=None,
        )
        deliver(case.stack.rabbitmq.url, "notifier.orders", message)

    wait_until(lambda: case.log("notifier").count("consumer.dead_lettered") > 1, "both are dead")
    listed = case.run("notifier", "dead-letters", "list", succeeds=True).stdout
    assert all(str(event_id) in listed for event_id in ids), listed  # noqa: S101
    assert WORDS["note"] not in listed, "reasons hold personal data"  # noqa: S101
    case.run("notifier", "dead-letters", "show", str(ids[0]), succeeds=True)


def refused_mail(case: Case) -> None:
    """Have the mail server refuse to let notifier in, in words that repeat what it was told."""
    address = WORDS["member's address"]
    told = base64.b64encode(f"\0{SMTP_USER}\0{SMTP_PASSWORD}".encode()).decode()
    case.office.lay_out(
        {"auth": f"535 5.7.8 no: {told} of {address}"},
        {"auth": f"454 4.7.0 later: {SMTP_PASSWORD}"},
        {"recipient": f"451 4.3.0 later: {address}"},
    )
    before = len(case.office.server.accepted)
    order(case)
    wait_until(lambda: len(case.office.server.accepted) > before, "the mail has been taken")
    case.await_log("notifier", "mail.put_off", "mail.sent")


def order(case: Case) -> None:
    """Place an order for the customer that there is."""
    [customer] = case.company.boss.list("/v1/customers")
    body = an_order(customer["customer_id"], place=True, note=WORDS["note"])
    assert case.company.boss.post("/v1/orders", body).status_code == 201  # noqa: PLR2004, S101


def wrong_settings(case: Case) -> None:
    """Start services with settings that are wrong, each of which holds a secret."""
    owner, broker = case.stack.database("identity").owner, case.stack.rabbitmq.url
    role, where = urlsplit(owner).username, urlsplit(owner).netloc.rpartition("@")[2]
    user, at = urlsplit(broker).username, urlsplit(broker).netloc.rpartition("@")[2]
    wrong = quote(case.plant("password given wrongly"), safe="")
    raw = case.plant("password not encoded", made_up("/"))
    short = case.plant("short secret", secrets.token_hex(7))
    failing: list[tuple[Sequence[str], dict[str, str]]] = []

    def fails(*words: str, **settings: str) -> None:
        failing.append((words, settings))

    for address in (
        f"{role}:{wrong}@{where}/bailiwick_identity",
        f"{role}:{raw}@{where}/bailiwick_identity",
        f"{role}:{wrong}@{wrong}.invalid/x",
    ):
        fails("identity", "migrate", DATABASE_OWNER_URL=f"postgresql+asyncpg://{address}")
    fails("identity", "migrate", DATABASE_OWNER_URL=wrong)
    fails("orders", "dead-letters", "list", BROKER_URL=f"amqp://{user}:{wrong}@{at}/")
    fails("orders", "dead-letters", "list", BROKER_URL=f"amqp://{user}:{raw}@{at}/")
    fails("orders", "migrate", BROKER_URL=f"amqps://{user}:{wrong}@{at}/{wrong}")
    fails("orders", "migrate", BROKER_URL=wrong)
    fails("orders", "api", DOOR_SECRET=short, CURSOR_SECRET=short)
    fails("notifier", "worker", SMTP_URL=f"smtp://u:{raw}@127.0.0.1:1")
    listed = ("notifier", "subscribers", "list", "--org", case.company.org_id)
    fails(*listed, BROKER_MANAGEMENT_URL=f"http://u:{raw}@{at}")
    keys = _wrong_keys(case)
    for file in keys:
        fails("identity", "api", SIGNING_KEYS=str(file))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: case.run(*one[0], **one[1]), failing))
    for file in keys:
        file.unlink()


def _wrong_keys(case: Case) -> list[Path]:
    places = case.stack.places
    kept = json.loads((places.folder("identity") / "signing-keys.json").read_text())
    other = {**kept["keys"][0], "d": kept["keys"][0]["d"][::-1]}
    texts = {"cut": json.dumps(kept)[:-2], "another": json.dumps({"keys": [other]})}
    folder = places.folder("wrong")
    return [places.write(folder / name, text) for name, text in texts.items()]


def broker_away(case: Case) -> None:
    """Take the broker away while orders come in and operators look."""
    case.stack.rabbitmq.kill()
    try:
        order(case)
        case.run("notifier", "dead-letters", "list")
        case.run("notifier", "subscribers", "list", "--org", case.company.org_id)
        case.await_log("orders", "relay.interrupted")
        case.await_log("notifier", "consumer.interrupted")
    finally:
        case.stack.rabbitmq.start()


def database_away(case: Case) -> None:
    """Take the databases away while requests come in."""
    boss = case.company.boss
    case.stack.postgres.kill()
    try:
        for path in ("/v1/customers", "/v1/orders", "/v1/members", "/v1/deliveries"):
            answer = boss.send("GET", path, params={"text": WORDS["search"]})
            assert answer.status_code == 503, answer.text  # noqa: PLR2004, S101
        form = {"grant_type": "password", "username": boss.email}
        case.sign_in({**form, "password": case.plant("password without a database")}, 503)
        case.run("orders", "migrate")
    finally:
        case.stack.postgres.start()
    case.ready()


def service_away(case: Case) -> None:
    """Take a service away, so that the gateway has something to say."""
    case.stack.service("customers").kill()
    try:
        for path in ("/v1/customers", "/v1/customers/count"):
            query = {"text": WORDS["search"], "access_token": case.company.boss.token}
            answer = case.company.boss.send("GET", path, params=query, **TRACED)
            assert answer.status_code == 503, answer.text  # noqa: PLR2004, S101
    finally:
        case.running.start("customers")
