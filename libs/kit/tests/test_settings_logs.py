"""Settings say what is missing and show no value; logs are one clean line each."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError

from bailiwick_kit.settings import NOT_GIVEN, ServiceSettings, SettingsError
from bailiwick_kit.telemetry.logs import BLANK, set_up
from bailiwick_testkit.services.toy import Things

GOOD = {
    "BAILIWICK_DATABASE_OWNER_URL": "postgresql+asyncpg://o:hunter2@h/d",
    "BAILIWICK_DATABASE_API_URL": "postgresql+asyncpg://a:hunter2@h/d",
    "BAILIWICK_DATABASE_WORKER_URL": "postgresql+asyncpg://w:hunter2@h/d",
    "BAILIWICK_BROKER_URL": "amqp://u:hunter2@h/",
    "BAILIWICK_POLICY_URL": "unix:///run/opa.sock",
    "BAILIWICK_LISTEN": "127.0.0.1:8001",
    "BAILIWICK_IDENTITY_URL": "http://127.0.0.1:8002/",
    "BAILIWICK_CUSTOMERS_URL": "http://127.0.0.1:8003",
    "BAILIWICK_DOOR_SECRET": "hunter2hunter2hunter2",
    "BAILIWICK_CURSOR_SECRET": "hunter2hunter2hunter2",
    "BAILIWICK_ISSUER": "http://127.0.0.1:8000",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_environment_is_the_contract(environment: pytest.MonkeyPatch) -> None:
    settings = ServiceSettings.load()
    assert settings.address == ("127.0.0.1", 8001)
    assert settings.identity_url == "http://127.0.0.1:8002"
    assert settings.policy_revision is None
    assert settings.broker_url.get_secret_value().startswith("amqp://")
    assert "hunter2" not in repr(settings)
    environment.setenv("BAILIWICK_LISTEN", "[::1]:80")
    assert ServiceSettings.load().address == ("::1", 80)


def test_what_is_missing_or_wrong_is_named_without_its_value(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("BAILIWICK_BROKER_URL")
    environment.setenv("BAILIWICK_ISSUER", "")
    environment.setenv("BAILIWICK_DOOR_SECRET", "hunter2")
    environment.setenv("BAILIWICK_LISTEN", "hunter2")
    with pytest.raises(SettingsError) as refused:
        ServiceSettings.load("api", "worker")
    message = str(refused.value)
    assert "BAILIWICK_BROKER_URL: is missing" in message
    assert "BAILIWICK_ISSUER: is missing" in message
    assert "BAILIWICK_DOOR_SECRET" in message
    assert "BAILIWICK_LISTEN" in message
    assert "BAILIWICK_POLICY_URL" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "url",
    [
        "amqp://u:hunter/2@h/",
        "amqp://u:hunter#2@h/",
        "amqp://u:/hunter2@h/",
        "amqp://u:?hunter2@h/",
        "amqp://[u:hunter2@h/",
    ],
)
def test_an_address_whose_password_ends_too_soon_is_refused_without_it(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("BROKER_URL", "DATABASE_API_URL"):
        environment.setenv(f"BAILIWICK_{name}", url)
    with pytest.raises(SettingsError) as refused:
        ServiceSettings.load("api", "worker")
    lines = str(refused.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "BAILIWICK_DATABASE_API_URL",
        "BAILIWICK_BROKER_URL",
    ]
    assert "hunter" not in str(refused.value)
    environment.setenv("BAILIWICK_BROKER_URL", "amqp://u:hunter%2F2@h:5672/v%2Fh")
    environment.setenv("BAILIWICK_DATABASE_API_URL", "postgresql+asyncpg://u:p@/d?host=h1&host=h2")
    assert ServiceSettings.load("api", "worker")


def test_a_process_is_asked_only_for_what_it_needs(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("BAILIWICK_DATABASE_OWNER_URL")
    environment.delenv("BAILIWICK_BROKER_URL")
    assert ServiceSettings.load("api").broker_url == NOT_GIVEN
    with pytest.raises(SettingsError) as refused:
        ServiceSettings.load("migrate")
    asked = re.findall(r"BAILIWICK_\w+", str(refused.value))
    assert asked == ["BAILIWICK_DATABASE_OWNER_URL", "BAILIWICK_BROKER_URL"]
    for name in ("POLICY_URL", "LISTEN", "DOOR_SECRET", "CURSOR_SECRET", "ISSUER"):
        environment.delenv(f"BAILIWICK_{name}")
    environment.setenv("BAILIWICK_DATABASE_OWNER_URL", "postgresql+asyncpg://o:p@h/d")
    environment.setenv("BAILIWICK_BROKER_URL", "amqp://u:p@h/")
    assert ServiceSettings.load("migrate").policy_url == ""


def test_a_secret_may_come_from_a_file_and_an_unreadable_one_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file, long enough\n")
    environment.delenv("BAILIWICK_CURSOR_SECRET")
    environment.setenv("BAILIWICK_CURSOR_SECRET_FILE", str(file))
    assert ServiceSettings.load().cursor_secret == SecretStr("from a file, long enough")
    environment.setenv("BAILIWICK_CURSOR_SECRET_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="BAILIWICK_CURSOR_SECRET_FILE"):
        ServiceSettings.load()
    file.write_text("\n")
    environment.setenv("BAILIWICK_CURSOR_SECRET_FILE", str(file))
    with pytest.raises(SettingsError, match="BAILIWICK_CURSOR_SECRET_FILE is empty"):
        ServiceSettings.load()


def test_what_is_no_secret_is_not_given_by_a_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "issuer"
    file.write_text("http://127.0.0.1:8000")
    environment.delenv("BAILIWICK_ISSUER")
    environment.setenv("BAILIWICK_ISSUER_FILE", str(file))
    with pytest.raises(SettingsError, match="BAILIWICK_ISSUER: is missing"):
        ServiceSettings.load("api")


def test_a_service_adds_settings_of_its_own(environment: pytest.MonkeyPatch) -> None:
    class IdentitySettings(ServiceSettings):
        signing_keys: str

    with pytest.raises(SettingsError, match="BAILIWICK_SIGNING_KEYS: is missing"):
        IdentitySettings.load()
    environment.setenv("BAILIWICK_SIGNING_KEYS", "keys.json")
    assert IdentitySettings.load().signing_keys == "keys.json"


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers, root.level, sys.excepthook
    yield lambda: capsys.readouterr().err
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.reset_defaults()
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).propagate = True


def test_a_fact_is_one_json_line_with_the_service(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    structlog.get_logger("a").info("order.placed", order_id="o1", n=1)
    line = json.loads(log())
    assert line["service"] == "orders"
    assert line["event"] == "order.placed"
    assert (line["order_id"], line["n"], line["level"]) == ("o1", 1, "info")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("console", [True, False])
def test_nothing_logged_can_forge_a_line_or_colour_a_terminal(
    log: Callable[[], str], *, console: bool
) -> None:
    set_up("orders", console=console)
    evil = 'x\r\n{"event": "forged"}\x1b[31m\u2028\x85'
    structlog.get_logger().info(evil, value=evil, many=[evil], inside={"a": evil})
    logging.getLogger("other").warning("said %s", evil)
    written = log()
    assert len(written.splitlines()) == 2
    assert "\x1b[31m" not in written.replace("\x1b[31m\x1b[1merror", "")
    assert "\u2028" not in written


def test_secrets_and_personal_data_are_blanked(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    structlog.get_logger().info("x", email="ana@example.com", password="hunter2", token="t0k")
    line = json.loads(log())
    assert line["email"] == line["password"] == line["token"] == BLANK


def test_a_stack_stays_one_json_line_and_shows_no_variables(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    password = "hunter2"
    try:
        len(password) / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("request.failed")
    (text,) = log().splitlines()
    assert "ZeroDivisionError" in json.loads(text)["exception"]
    assert "hunter2'" not in text


async def test_what_the_database_shows_of_rows_and_values_is_not_logged(
    log: Callable[[], str], silent: Things
) -> None:
    set_up("orders", console=False)
    for statement, value in (
        # Where row-level security is on, PostgreSQL keeps the row to itself; here it is not.
        ("INSERT INTO inbox (type, error) VALUES ('things', $1)", "Ana\nPeña"),
        ("SELECT $1::integer", "Ana Peña"),
    ):
        with pytest.raises(DBAPIError) as refused:
            async with silent.worker.writing(UUID(int=1)) as connection:
                await connection.exec_driver_sql(statement, (value,))
        assert refused.value.orig
        assert {"Ana", "Peña"} <= set(re.split(r"\W+", str(refused.value.orig.__cause__)))
        structlog.get_logger().error("consumer.handler_failed", exc_info=refused.value)
        text = json.loads(log())["exception"]
        assert BLANK in text
        assert not {"Ana", "Peña"} & set(re.split(r"\W+", text))
        assert "[SQL" in text


def test_uvicorns_access_lines_with_their_queries_are_silent(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    logging.getLogger("uvicorn.access").info("GET /v1/orders?text=maria")
    logging.getLogger("uvicorn.error").info("started")
    (text,) = log().splitlines()
    assert json.loads(text)["event"] == "started"


ADDRESSES = {
    "amqp://u:hunter2@h:5672/": "amqp://[blanked]@h:5672/",
    "to postgresql+asyncpg://u:hunter2@h/d, refused": "to postgresql+asyncpg://[blanked]@h/d, refused",
    "'smtps://ana:hunt@er2@h'": "'smtps://[blanked]@h'",
    "http://u:hun/ter2#x?y@h/a": "http://[blanked]@h/a",
    "http://h/a?b=c": "http://h/a?b=c",
    "(ana.p+x@people.example)": "([blanked])",
    "Key (email)=(ana@people.example)": "Key (email)=([blanked])",
    "ana@people.example://u:p@h": "[blanked]://[blanked]@h",
    "nobody at home": "nobody at home",
}


@pytest.mark.parametrize("said", ADDRESSES)
def test_users_and_passwords_of_addresses_and_mail_addresses_are_blanked(
    log: Callable[[], str], said: str
) -> None:
    set_up("orders", console=False)
    inside = {"where": [said], "password": "hunter2"}
    structlog.get_logger().warning(said, where=said, inside=inside, error=OSError(said))
    logging.getLogger("aio_pika").warning("lost %s", said)
    ours, theirs = (json.loads(line) for line in log().splitlines())
    blanked = ADDRESSES[said]
    assert ours["event"] == ours["where"] == ours["error"] == blanked
    assert ours["inside"] == {"where": [blanked], "password": BLANK}
    assert theirs["event"] == f"lost {blanked}"


@pytest.mark.parametrize("said", ["a" * 200_000 + "@" + "b@" * 10_000, "@" + "://" * 90_000])
def test_a_text_full_of_what_begins_an_address_is_no_work(
    log: Callable[[], str], said: str
) -> None:
    set_up("orders", console=False)
    structlog.get_logger().warning(said)
    assert len(log()) < 300_000


def test_a_row_in_an_exception_told_in_one_line_is_not_logged(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    refused = OSError("duplicate key\nDETAIL:  Key (name)=(Ana) already exists.")
    # So asyncio says it of a task that nobody asked how it ended.
    logging.getLogger("asyncio").error("never retrieved\nfuture: <Task exception=%r>", refused)
    text = json.loads(log())["event"]
    assert text.endswith(rf"OSError('duplicate key\nDETAIL:{BLANK}")


def test_an_exception_shows_no_address_wherever_it_is_logged(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    lost = ConnectionError("amqp://u:hunter2@h/ of ana@people.example")
    lost.__cause__ = OSError("postgresql://u:hunter2@h/")
    try:
        raise lost
    except ConnectionError:
        structlog.get_logger().exception("consumer.failed")
        logging.getLogger("asyncio").exception("never retrieved")
        ended: Any = sys.exc_info()
    sys.excepthook(*ended)
    lines = [json.loads(line) for line in log().splitlines()]
    assert [line["event"] for line in lines] == [
        "consumer.failed",
        "never retrieved",
        "process.failed",
    ]
    for line in lines:
        assert "ConnectionError: amqp://[blanked]@h/ of [blanked]" in line["exception"]
        assert "OSError: postgresql://[blanked]@h/" in line["exception"]
        assert line["service"] == "orders"


class Sent(BaseModel):
    n: int
    lines: list[int]


def test_what_pydantic_shows_of_a_value_is_not_logged(log: Callable[[], str]) -> None:
    set_up("orders", console=False)
    sent = {"n": "Ana, input_type=str]", "lines": {"name": "Ana"}}
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate(sent)
    for error in (refused.value, ResponseValidationError(refused.value.errors())):
        structlog.get_logger().error("request.failed", exc_info=error)
    logging.getLogger("uvicorn.error").error(str(refused.value))
    for line in log().splitlines():
        told = json.loads(line)
        text = told.get("exception") or told["event"]
        assert "Ana" not in text
        assert text.count(BLANK) == 2
        assert "valid integer" in text
