"""Changes to what has changed meanwhile, and requests that come twice: one effect, and told so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bailiwick_testkit.security.attack_target import BY_NAME, TAKING_BODIES, Target, problem, read
from bailiwick_testkit.services.company import done

CONDITIONAL = sorted(name for name, one in BY_NAME.items() if "if-match" in one.takes)
REPEATABLE = sorted(name for name, one in BY_NAME.items() if "idempotency-key" in one.takes)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_change_names_the_present_version_or_is_not_made(target: Target, name: str) -> None:
    before = read(target, name)
    body = target.good(name) if name in TAKING_BODIES else None
    version = before["version"]
    assert problem(target.send(target.boss, name, body)) == (428, "precondition-required")
    for stale in (f'"v{version + 1}"', '"v0"', f"v{version}", f'W/"v{version}"', '"x"', "'*'"):
        answer = target.send(target.boss, name, body, if_match=stale)
        assert problem(answer) == (412, "stale"), stale
    # 428 and 412 come before what is wrong with the body.
    if body is not None:
        wrong = {"nonsense": 1}
        assert target.send(target.boss, name, wrong).status_code == 428
        assert target.send(target.boss, name, wrong, if_match='"v0"').status_code == 412
    assert read(target, name) == before


def test_of_two_who_read_the_same_version_one_changes_it(target: Target) -> None:
    for name, changes in (
        ("edit_customer", [{"tags": [f"t{n}"]} for n in range(6)]),
        ("edit_order", [{"note": f"n{n}"} for n in range(6)]),
    ):
        version = read(target, name)["version"]
        etag = f'"v{version}"'

        def change(body: Any, name: str = name, etag: str = etag) -> int:
            return target.send(target.boss, name, body, if_match=etag).status_code

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(change, changes)) == [200, 412, 412, 412, 412, 412]
        assert read(target, name)["version"] == version + 1


@pytest.mark.parametrize("name", REPEATABLE)
def test_a_key_stands_for_one_body(target: Target, name: str) -> None:
    boss, key, body = target.boss, str(uuid4()), target.good(name)
    first = done(target.send(boss, name, body, idempotency_key=key))
    id_field = next(one for one in first if one.endswith("_id"))
    again = target.send(boss, name, dict(reversed(body.items())), idempotency_key=key)
    assert again.status_code == 201
    assert again.json()[id_field] == first[id_field]
    other = {**body, **another(name)}
    assert problem(target.send(boss, name, other, idempotency_key=key)) == (
        422,
        "idempotency-key-reused",
    )
    for bad in ("x" * 201, "a b", "a\tb"):
        answer = target.send(boss, name, body, idempotency_key=bad)
        assert problem(answer) == (422, "invalid"), bad
        assert answer.json()["errors"][0]["where"] == "Idempotency-Key"


def another(name: str) -> dict[str, Any]:
    """Give what makes another body of a good one."""
    return {
        "assign_customer": {"valid_to": "2999-06-01T00:00:00Z"},
        "create_order": {"note": "another"},
    }.get(name, {"name": "Another"})


def test_a_key_is_its_senders_own(target: Target) -> None:
    key, body = str(uuid4()), {"name": "Same name"}
    mine = done(target.send(target.boss, "create_customer", body, idempotency_key=key))
    rita = target.company["Rita"]
    hers = done(target.send(rita, "create_customer", {"name": "Hers"}, idempotency_key=key))
    assert mine["customer_id"] != hers["customer_id"]


def test_a_key_sent_many_times_at_once_has_one_effect(target: Target) -> None:
    boss, body = target.boss, target.good("create_order")
    before = boss.count("/v1/orders")
    for _ in range(4):
        key = str(uuid4())

        def send(_: int, key: str = key) -> httpx2.Response:
            return target.send(boss, "create_order", body, idempotency_key=key)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(send, range(6)))
        made = {one.json()["order_id"] for one in answers if one.is_success}
        refused = {problem(one) for one in answers if not one.is_success}
        assert len(made) == 1
        assert refused <= {(409, "idempotency-key-in-flight")}
    assert boss.count("/v1/orders") == before + 4
