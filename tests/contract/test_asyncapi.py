"""The AsyncAPI document before its own validator, and beside what the services really send."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft7Validator, FormatChecker

from bailiwick_contracts.catalogue import EVENTS
from bailiwick_kit.bus.messages import to_message
from bailiwick_launcher.data_folder import locked, of_the_checkout
from bailiwick_launcher.servers import install
from bailiwick_testkit.checkout import CHECKOUT
from bailiwick_testkit.servers.real import report

Json = dict[str, Any]
DOCUMENT: Json = json.loads((CHECKOUT / "contracts" / "asyncapi.json").read_text("utf-8"))
PACKAGE = Path(__file__).with_name("asyncapi")
ERROR, WARNING, INFORMATION = range(3)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="session")
def validator() -> Path:
    """The script that asks AsyncAPI's parser, installed where the lock file is not yet."""
    install.ensure(["node"], report)
    wanted = sorted(PACKAGE.glob("*.*"))
    name = hashlib.sha256(b"".join(file.read_bytes() for file in wanted)).hexdigest()[:12]
    folder = of_the_checkout().folder("validators")
    with locked(folder / "install.lock"):
        place = folder / name
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for file in wanted:
                shutil.copy(file, place)
            report("installing AsyncAPI's validator (once)")
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)  # noqa: S603 - from our own lock file
            assert done.returncode == 0, done.stderr
            (place / "done").touch()
    return place / "validate.mjs"


def findings(validator: Path, document: Json) -> tuple[bool, list[Json]]:
    """Return whether the parser could read a document, and what it objects to."""
    program = install.node()
    assert program
    told = subprocess.run(  # noqa: S603 - our own script
        [program, str(validator)],
        input=json.dumps(document),
        cwd=validator.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(told.stdout)
    return answer["isParsed"], [one for one in answer["found"] if one["severity"] < INFORMATION]


def test_document_is_valid_by_asyncapis_own_parser(validator: Path) -> None:
    assert findings(validator, DOCUMENT) == (True, [])


def _without_channel(document: Json) -> None:
    del document["operations"]["tell_orders_order_placed_v1"]["channel"]


def _with_a_reference_to_nothing(document: Json) -> None:
    document["components"]["messages"]["OrderPlaced"]["payload"]["schema"]["$ref"] += "x"


def _with_another_binding(document: Json) -> None:
    document["channels"]["orders.order.placed.v1"]["bindings"]["amqp"]["is"] = "mailbox"


def _with_a_schema_that_is_none(document: Json) -> None:
    document["components"]["schemas"]["orders.order.placed.v1"]["properties"]["net"] = {"type": 1}


@pytest.mark.parametrize(
    "change",
    [
        _without_channel,
        _with_a_reference_to_nothing,
        _with_another_binding,
        _with_a_schema_that_is_none,
    ],
)
def test_a_document_that_is_wrong_is_found(validator: Path, change: Callable[[Json], None]) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    _, found = findings(validator, document)
    assert ERROR in {one["severity"] for one in found}


@pytest.mark.parametrize("trace_parent", [None, TRACE], ids=["no trace", "traced"])
@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_headers_are_those_that_services_send(event_type: str, trace_parent: str | None) -> None:
    promised = DOCUMENT["components"]["messages"][EVENTS[event_type].__name__]
    sent = to_message(
        event_id=uuid4(),
        event_type=event_type,
        source=f"/{event_type.partition('.')[0]}",
        subject=uuid4(),
        time=datetime.now(UTC),
        body=b"{}",
        trace_parent=trace_parent,
    )
    Draft7Validator(promised["headers"], format_checker=FormatChecker()).validate(sent.headers)
    known = set(promised["headers"]["properties"])
    assert sent.headers.keys() == known - (set() if trace_parent else {"ce-traceparent"})
    assert sent.content_type == promised["contentType"]
    assert sent.type == promised["bindings"]["amqp"]["messageType"]
    told = DOCUMENT["operations"][f"tell_{event_type.replace('.', '_')}"]
    assert sent.delivery_mode == told["bindings"]["amqp"]["deliveryMode"]


def test_lock_has_hashes_and_no_addresses() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
    assert not [name for name, one in packages.items() if "resolved" in one], (
        "npm install --package-lock-only --omit-lockfile-registry-resolved"
    )
