"""A mail server in a thread of its own, for tests that block: down, and up again at the same address."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from threading import Thread
from typing import Any

from bailiwick_testkit.fakes.smtp_server import Accepted, Faults, MailServer, mail_server


class PostOffice:
    """The server, which keeps what it took while it is down. Its methods block until it is done."""

    def __init__(
        self, port: int, loop: asyncio.AbstractEventLoop, users: dict[str, str] | None
    ) -> None:
        self.server = MailServer(port=port)
        self._loop = loop
        self._users = users
        self._running = AsyncExitStack()

    def start(self) -> None:
        """Listen."""
        running = mail_server(port=self.server.port, server=self.server, users=self._users)
        self._finished(self._running.enter_async_context(running))

    def stop(self) -> None:
        """Listen no more, and cut off whoever is connected."""
        self._finished(self._running.aclose())

    def lay_out(self, *faults: Faults) -> None:
        """Say what the next connections meet, one each."""

        async def laid_out() -> None:
            self.server.ahead.extend(faults)

        self._finished(laid_out())

    def go_on(self) -> None:
        """Let those answer that wait."""
        self._loop.call_soon_threadsafe(self.server.go_on)

    @property
    def is_talking(self) -> bool:
        """Somebody is connected."""
        return bool(self.server.open)

    def taken(self) -> dict[str, list[Accepted]]:
        """Give what it took: Message-ID → the copies, in the order of their coming."""
        copies: defaultdict[str, list[Accepted]] = defaultdict(list)
        for one in list(self.server.accepted):
            copies[str(one.message["Message-ID"])].append(one)
        return dict(copies)

    def _finished(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)


@contextmanager
def post_office(port: int, users: dict[str, str] | None = None) -> Iterator[PostOffice]:
    """Run a mail server on loopback, until the block ends. `users`: who may sign in, and has to."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()

    thread = Thread(target=lambda: asyncio.run(serve()), name="post office", daemon=True)
    thread.start()
    loop, ended = begun.result()
    office = PostOffice(port, loop, users)
    office.start()
    try:
        yield office
    finally:
        office.stop()
        loop.call_soon_threadsafe(ended.set)
        thread.join()
