"""Tags of what is shown, HEAD, and connections that are used again, over a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from bailiwick_kit.errors import Forbidden
from bailiwick_kit.timeouts import lift
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.bodies import SentBody, json_body
from bailiwick_kit.web.etags import IfNoneMatch
from bailiwick_kit.web.fields import Model
from bailiwick_kit.web.path_ids import NOBODYS, PathId

router = APIRouter(prefix="/v1/things")
MAIN = {"name": "Ana"}


class Thing(Model):
    name: str


@router.get("")
async def listed() -> list[str]:
    return ["one"]


@router.get("/shown")
async def shown(tagged: IfNoneMatch) -> dict[str, str]:
    tagged.with_version(3)
    return dict(MAIN)


@router.get("/streamed")
async def streamed() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingResponse(parts(), headers={"ETag": '"v3"'})


@router.get("/refused")
async def refused(tagged: IfNoneMatch) -> None:
    tagged.with_version(3)
    raise Forbidden


@router.post("")
async def made(body: Annotated[SentBody[Thing], json_body(Thing)]) -> str:
    return body.read().name


@router.post("/refused")
async def refused_unread() -> None:
    raise Forbidden


@router.post("/committed")
async def committed(response: Response) -> str:
    lift()
    await asyncio.sleep(0.6)
    response.headers["ETag"] = '"v1"'
    return "done"


@router.post("/{thing_id}/verb")
async def verb(thing_id: PathId) -> None: ...


@router.get("/{thing_id}")
async def one(thing_id: PathId) -> bool:
    return thing_id == NOBODYS


class Connection:
    """One connection to the server, and no other: what was sent is answered on it or not at all."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers and body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        told = {name.lower(): value for name, value in pairs}
        is_bodiless = method == "HEAD" or " 304 " in head[0]
        length = 0 if is_bodiless else int(told.get("content-length", "0"))
        return int(head[0].split()[1]), told, await self._reader.readexactly(length)


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    async with _connected() as found:
        yield found


@asynccontextmanager
async def _connected() -> AsyncIterator[Connection]:
    app: Any = create_app(
        title="t", version="1", routers=[router], deadline=0.3, max_body_size=1000
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def test_the_tag_changes_with_what_is_shown_and_304_says_the_same_bytes(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, headers, _ = await connection.send("GET", "/v1/things/shown")
    tag = headers["etag"]
    assert (status, tag[:4]) == (200, '"v3-')
    held = await connection.send("GET", "/v1/things/shown", If_None_Match=f'"v1", W/{tag}')
    assert (held[0], held[1]["etag"], held[2]) == (304, tag, b"")
    assert "content-length" not in held[1]
    assert (await connection.send("HEAD", "/v1/things/shown", If_None_Match=tag))[0] == 304
    monkeypatch.setitem(MAIN, "name", "Bruno")
    status, headers, _ = await connection.send("GET", "/v1/things/shown", If_None_Match=tag)
    assert (status, headers["etag"] == tag) == (200, False)
    for old in ('"v3"', "*"):
        assert (await connection.send("GET", "/v1/things/shown", If_None_Match=old))[0] == 200


async def test_only_a_whole_answer_that_shows_something_has_a_tag_of_it(
    connection: Connection,
) -> None:
    assert "etag" not in (await connection.send("HEAD", "/v1/things/streamed"))[1]
    assert "etag" not in (await connection.send("GET", "/v1/things/refused"))[1]


@pytest.mark.parametrize("path", ["/v1/things", "/v1/things/shown", "/v1/things/x", "/nowhere"])
async def test_head_is_get_without_the_body(connection: Connection, path: str) -> None:
    got, asked = await connection.send("GET", path), await connection.send("HEAD", path)
    assert asked[0] == got[0]
    assert asked[2] == b""
    for told in (got[1], asked[1]):
        told.pop("trace-id")
        told.pop("date")
    assert asked[1] == got[1], "Content-Length and ETag included"


async def test_a_wrong_method_names_head_where_there_is_get(connection: Connection) -> None:
    status, headers, _ = await connection.send("HEAD", "/v1/things/x/verb")
    assert (status, headers["allow"]) == (405, "POST")
    status, headers, _ = await connection.send("DELETE", "/v1/things")
    assert (status, headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", "/v1/things", 20, 415),
        ("POST", "/v1/things", 2000, 413),
        ("POST", "/v1/things", 60_000, 413),
        ("PUT", "/v1/things", 900, 405),
        ("POST", "/nowhere", 900, 404),
        ("POST", "/v1/things/refused", 900, 403),
    ],
)
async def test_a_refusal_leaves_the_connection_usable(
    connection: Connection, method: str, path: str, size: int, status: int
) -> None:
    answer = await connection.send(method, path, b"x" * size, Content_Type="text/plain")
    assert answer[0] == status
    assert (await connection.send("GET", "/v1/things"))[0] == 200


@pytest.mark.parametrize("end", ["%0a", "%0d", "%00", "/shown%0a", "%7f"])
async def test_an_address_with_a_control_character_leads_nowhere(
    connection: Connection, end: str
) -> None:
    assert (await connection.send("GET", f"/v1/things{end}"))[0] == 404


async def test_what_is_no_id_is_the_id_of_nothing(connection: Connection) -> None:
    assert (await connection.send("GET", "/v1/things/x"))[2] == b"true"
    known = "01930000-0000-7000-8000-000000000001"
    assert (await connection.send("GET", f"/v1/things/{known}"))[2] == b"false"


async def test_the_deadline_of_a_request_ends_with_its_commit(connection: Connection) -> None:
    status, _, body = await connection.send("POST", "/v1/things/committed")
    assert (status, body) == (200, b'"done"')
