"""The management API of a broker that refuses, fails or does not answer: what is asked again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bailiwick_kit.bus import broker_management
from bailiwick_kit.bus.broker_management import Management, ManagementError
from bailiwick_testkit.services.application import served


@asynccontextmanager
async def asked(
    answer: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[Management]:
    """An API that knows how to close connections and nothing else."""
    application = web.Application()
    application.router.add_delete("/api/connections/username/reader", answer)
    async with served(application) as (url,), Management(url, "amqp://127.0.0.1/v") as management:
        yield management


async def test_an_api_that_leads_elsewhere_has_done_nothing() -> None:
    elsewhere = b"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(elsewhere)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://us:the-word@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Management(url, "amqp://a:b@h/") as management:
            with pytest.raises(ManagementError, match="301"):
                await management.put_user("reader", "another word")


@pytest.mark.parametrize(("failing", "is_done"), [(1, True), (99, False)])
async def test_a_connection_that_ends_by_itself_while_it_is_closed_is_no_error(
    failing: int, *, is_done: bool
) -> None:
    """The broker, which ends the connections of a deleted user too, answers 500 then."""
    answered: list[int] = []

    async def answer(_: web.Request) -> web.Response:
        answered.append(500 if len(answered) < failing else 204)
        return web.Response(status=answered[-1])

    async with asked(answer) as management:
        if is_done:
            await management.close_connections("reader")
        else:
            with pytest.raises(ManagementError, match="500"):
                await management.close_connections("reader")
    assert (answered[-1] == 204) == is_done


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_who_is_refused_is_not_asked_to_close_connections_again(status: int) -> None:
    answered: list[int] = []

    async def answer(_: web.Request) -> web.Response:
        answered.append(status)
        return web.Response(status=status)

    async with asked(answer) as management:
        with pytest.raises(ManagementError) as raised:
            await management.close_connections("reader")
    assert answered == [raised.value.status] == [status]


async def test_an_api_that_does_not_answer_is_not_asked_to_close_connections_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_management, "DEADLINE", 0.1)
    came: list[str] = []
    is_over = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        came.append(request.method)
        await is_over.wait()
        return web.Response(status=204)

    async with asked(answer) as management:
        with pytest.raises(ManagementError, match="TimeoutError") as raised:
            await management.close_connections("reader")
        is_over.set()
    assert (came, raised.value.status) == (["DELETE"], None)
