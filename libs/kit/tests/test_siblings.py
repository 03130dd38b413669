"""Keys and changes fetched from siblings: kept, bounded, and Unavailable when they do not come."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from fastapi import APIRouter, Depends
from joserfc.jwk import ECKey
from pydantic import SecretStr
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from typing_extensions import override

from bailiwick_contracts.envelope import Sequenced
from bailiwick_kit.errors import Unavailable
from bailiwick_kit.replication.change_feed_client import (
    MOST_BYTES,
    ChangeFeedClient,
    change_feed_guard,
)
from bailiwick_kit.replication.change_feed_routes import change_feed_routes
from bailiwick_kit.tokens.jwks import KeySet, usable_keys
from bailiwick_kit.web.app import create_app
from bailiwick_testkit.services.toy import ThingChanged, changed

ORG = UUID(int=1)
SECRET = SecretStr("a secret between siblings")
K1, K2 = (ECKey.generate_key("P-256", parameters={"kid": kid}) for kid in ("k1", "k2"))


async def hang() -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


class Sibling:
    """A server that answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.answer: Callable[[], Awaitable[web.Response]] = hang
        self.requests: list[web.Request] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return await self.answer()

    def says(self, document: object) -> None:
        async def answer() -> web.Response:
            return web.json_response(document)

        self.answer = answer

    def says_raw(self, **options: Any) -> None:
        async def answer() -> web.Response:
            return web.Response(**options)

        self.answer = answer


@asynccontextmanager
async def running() -> AsyncIterator[Sibling]:
    sibling = Sibling()
    app = web.Application()
    app.router.add_get("/{path:.*}", sibling.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sibling.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield sibling
    finally:
        await runner.cleanup()


class Stopwatch:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def jwks(*keys: ECKey) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


async def refreshed(keys: KeySet) -> None:
    assert keys._refreshing is not None
    await keys._refreshing


async def test_keys_are_fetched_once_and_kept() -> None:
    async with running() as sibling, KeySet(sibling.url) as keys:
        sibling.says(jwks(K1))
        found = await asyncio.gather(*(keys.key("k1") for _ in range(20)))
        assert all(key is not None for key in found)
        assert len(sibling.requests) == 1


async def test_an_unknown_id_asks_again_but_not_more_often_than_every_ten_seconds() -> None:
    time = Stopwatch()
    async with running() as sibling, KeySet(sibling.url, monotonic=time) as keys:
        sibling.says(jwks(K1))
        await keys.key("k1")
        sibling.says(jwks(K2))
        time.now += 9
        assert [await keys.key(f"x{n}") for n in range(50)] == [None] * 50
        assert len(sibling.requests) == 1
        time.now += 2
        assert await keys.key("k2") is not None
        assert await keys.key("k1") is None, "rotated out"
        assert len(sibling.requests) == 2


async def test_old_keys_serve_while_new_ones_come_and_while_identity_is_down() -> None:
    time = Stopwatch()
    async with running() as sibling, KeySet(sibling.url, monotonic=time) as keys:
        sibling.says(jwks(K1))
        await keys.key("k1")
        sibling.says_raw(status=500)
        time.now += 601
        with capture_logs():
            assert await keys.key("k1") is not None
            await refreshed(keys)
            assert await keys.key("k1") is not None
        sibling.says(jwks(K1, K2))
        time.now += 11
        assert await keys.key("k1") is not None
        await refreshed(keys)
        assert await keys.key("k2") is not None


async def test_no_keys_at_all_or_keys_too_old_are_unavailable() -> None:
    time = Stopwatch()
    async with running() as sibling, KeySet(sibling.url, monotonic=time) as keys:
        sibling.says_raw(status=500)
        with capture_logs(), pytest.raises(Unavailable):
            await keys.key("k1")
        sibling.says(jwks(K1))
        assert await keys.key("k1") is not None, "the next request tries again"
        time.now += 3601
        sibling.says_raw(status=503)
        with capture_logs(), pytest.raises(Unavailable):
            await keys.key("k1")
    with capture_logs(), pytest.raises(Unavailable):
        async with KeySet("http://127.0.0.1:1/jwks.json") as keys:
            await keys.key("k1")


async def test_a_crowd_that_waits_for_keys_asks_a_silent_identity_once() -> None:
    async with running() as sibling, KeySet(sibling.url, deadline=0.2) as keys:
        sibling.answer = hang
        crowd = [keys.key("k1") for _ in range(50)]
        with capture_logs():
            async with asyncio.timeout(2):
                found = await asyncio.gather(*crowd, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in found)
        assert len(sibling.requests) == 1


def test_only_keys_for_our_algorithm_are_usable_and_nothing_private_is_kept() -> None:
    good = K1.as_dict(private=True)
    bad = [
        None,
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {**good, "kid": 7},
        {**good, "kid": "enc", "use": "enc"},
        {**good, "kid": "alg", "alg": "ES384"},
        {**good, "kid": "crv", "crv": "P-384"},
        {**good, "kid": "x", "x": "!"},
    ]
    found = usable_keys({"keys": [*bad, good]})
    assert found.keys() == {"k1"}
    assert not found["k1"].is_private
    broken: list[Any] = [[], {}, {"keys": {}}, None, "x"]
    for document in broken:
        with pytest.raises(ValueError, match="not a JWKS"):
            usable_keys(document)


CHANGE = {"seq": 6, "type": "identity.member.changed.v1", "data": {"a": 1}}


async def test_the_feed_gives_changes_and_heads() -> None:
    async with running() as sibling, ChangeFeedClient(sibling.url, SECRET) as feed:
        sibling.says({"head": 7, "complete": False, "changes": [CHANGE]})
        found = await feed.changes(ORG, 5, 1)
        assert (found.head, found.complete, found.changes) == (7, False, [CHANGE])
        (request,) = sibling.requests
        assert request.path == "/internal/v1/changes"
        assert dict(request.query) == {"org": str(ORG), "after": "5", "limit": "1"}
        assert request.headers["Authorization"] == f"Bearer {SECRET.get_secret_value()}"
        sibling.says({"heads": [{"org_id": str(ORG), "head": 7}]})
        assert await feed.heads() == [(ORG, 7)]


def raw(text: str) -> dict[str, Any]:
    return {"text": text, "content_type": "application/json"}


WRONG = {
    "500": {"status": 500},
    "401": {"status": 401},
    "404": {"status": 404},
    "a redirect": {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
    "204": {"status": 204},
    "no body": raw(""),
    "HTML": {"text": "<html>", "content_type": "text/html"},
    "truncated": raw('{"head": 7, "changes": ['),
    "an empty object": raw("{}"),
    "a list": raw("[]"),
    "null": raw("null"),
    "wrong types": raw('{"head": "x", "complete": true, "changes": []}'),
    "a change without number": raw('{"head": 7, "complete": true, "changes": [{"type": "x"}]}'),
    "repeated numbers": raw(
        '{"head": 7, "complete": true, "changes": ['
        '{"seq": 6, "type": "x", "data": {}}, {"seq": 6, "type": "x", "data": {}}]}'
    ),
    "old numbers": raw(
        '{"head": 7, "complete": true, "changes": [{"seq": 5, "type": "x", "data": {}}]}'
    ),
    "nested deep": raw("[" * 100_000),
    "huge": raw('"' + "x" * 33 * 1024 * 1024 + '"'),
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
async def test_whatever_else_comes_through_the_feed_is_unavailable(options: dict[str, Any]) -> None:
    async with running() as sibling, ChangeFeedClient(sibling.url, SECRET) as feed:
        sibling.says_raw(**options)
        with capture_logs() as logs, pytest.raises(Unavailable):
            await feed.changes(ORG, 5)
    assert [line["event"] for line in logs] == ["sibling.unavailable"]


async def test_a_sibling_that_is_frozen_or_gone_is_unavailable_in_time() -> None:
    async with running() as sibling, ChangeFeedClient(sibling.url, SECRET, deadline=0.1) as feed:
        sibling.answer = hang
        with capture_logs(), pytest.raises(Unavailable):
            await feed.heads()
    async with ChangeFeedClient("http://127.0.0.1:1", SECRET) as feed:
        with capture_logs(), pytest.raises(Unavailable) as refused:
            await feed.heads()
        assert refused.value.retry_after == 1


def test_the_feed_opens_to_siblings_alone() -> None:
    guard = change_feed_guard([SecretStr("old"), SECRET, SecretStr("")])
    router = APIRouter(dependencies=[Depends(guard)])

    @router.get("/internal/v1/changes")
    async def changes() -> dict[str, int]:
        return {"head": 1}

    client = TestClient(create_app(title="t", version="1", routers=[router]))

    def status(value: str | bytes | None) -> int:
        headers: Any = {} if value is None else {"Authorization": value}
        return client.get("/internal/v1/changes", headers=headers).status_code

    assert status(f"Bearer {SECRET.get_secret_value()}") == status("Bearer old") == 200
    for wrong in (None, "", "Bearer", "Bearer ", "Bearer x", "Basic old", b"Bearer \xff\xfe"):
        assert status(wrong) == 401


class Late:
    """A source in which one change after another is committed between its reads: it missed the first."""

    async def head(self, _org_id: UUID) -> int:
        return 2

    async def heads(self) -> list[tuple[UUID, int]]:
        return [(ORG, 2)]

    async def after(self, org_id: UUID, seq: int, limit: int) -> tuple[list[Sequenced], bool]:
        there: list[Sequenced] = [
            changed(org_id, UUID(int=number), 1, seq=number) for number in (1, 2, 4)
        ]
        found = [event for event in there if event.seq > seq]
        return found[:limit], len(found) < limit


def test_a_feed_tells_nothing_above_the_head_that_it_names() -> None:
    app = create_app(
        title="change feed", version="1", routers=[change_feed_routes(Late(), [SECRET])]
    )
    headers = {"Authorization": f"Bearer {SECRET.get_secret_value()}"}
    with TestClient(app) as client:
        for after, limit, told in ((0, 3, [1, 2]), (0, 2, [1, 2]), (1, 2, [2]), (2, 1, [])):
            query = {"org": str(ORG), "after": str(after), "limit": str(limit)}
            answer = client.get("/internal/v1/changes", params=query, headers=headers).json()
            assert [change["seq"] for change in answer["changes"]] == told
            # Where it is complete, whoever asked goes on from the head, and is told 3 and 4 then.
            assert (answer["head"], answer["complete"]) == (2, len(told) < limit)


@dataclass
class Heavy(Late):
    """A source of records that are as large as each of `sizes` says, and how many it was asked to read."""

    sizes: Sequence[int]
    read: int = 0

    @override
    async def head(self, _org_id: UUID) -> int:
        return len(self.sizes)

    @override
    async def after(self, org_id: UUID, seq: int, limit: int) -> tuple[list[Sequenced], bool]:
        rest = list(enumerate(self.sizes[seq:], seq + 1))
        self.read += len(rest[:limit])
        found: list[Sequenced] = [
            ThingChanged(org_id=org_id, thing_id=uuid4(), version=1, seq=number, name="x" * size)
            for number, size in rest[:limit]
        ]
        return found, len(rest) < limit


@pytest.mark.parametrize(
    ("sizes", "most_pages"),
    [
        ([224_000] * 200, 50),  # a replica could pull no page of 150 of these
        ([100] * 3000, 4),
        ([100] * 500 + [224_000] * 20 + [100] * 500, 7),
        ([3 * MOST_BYTES] * 3, 3),
    ],
    ids=["heavy", "light", "mixed", "heavier than a page"],
)
def test_a_page_of_the_feed_ends_by_bytes_and_all_is_told(
    sizes: list[int], most_pages: int
) -> None:
    source = Heavy(sizes)
    app = create_app(
        title="change feed", version="1", routers=[change_feed_routes(source, [SECRET])]
    )
    headers = {"Authorization": f"Bearer {SECRET.get_secret_value()}"}
    told, pages, complete = list[int](), 0, False
    with TestClient(app) as client:
        while not complete:
            query = {"org": str(ORG), "after": str(told[-1] if told else 0)}
            answer = client.get("/internal/v1/changes", params=query, headers=headers)
            changes, complete = answer.json()["changes"], answer.json()["complete"]
            assert len(answer.content) < MOST_BYTES + 1024 * len(changes) or len(changes) == 1
            assert [len(change["data"]["name"]) for change in changes] == sizes[
                len(told) : len(told) + len(changes)
            ]
            told += [change["seq"] for change in changes]
            pages += 1
    assert told == list(range(1, len(sizes) + 1))
    assert pages <= most_pages
    assert source.read <= 4 * len(sizes) + 10 * pages  # little is read for nothing
