"""Hashes passwords with argon2id, in threads of its own and only a few at a time.

Each hash takes tens of milliseconds and tens of megabytes: the pool is what keeps a flood of sign-ins from
taking the machine. A cancelled request gives its place up only when its thread is done.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

ResultT = TypeVar("ResultT")

MOST_WAITING_EACH = 50
"""Hashes under way or waiting for each thread; strangers who come then are sent away at once."""


class ArgonPasswords:
    """Passwords hashed with one set of parameters; hashes made with others are still understood."""

    def __init__(self, *, time_cost: int, memory_kib: int, parallelism: int, at_once: int) -> None:
        self._hasher = PasswordHash(
            (Argon2Hasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism),)
        )
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="password")
        self._under_way = 0
        self._most = at_once * MOST_WAITING_EACH

    @property
    def is_busy(self) -> bool:
        """Whether so many wait already that a stranger had better come again."""
        return self._under_way >= self._most

    async def hash(self, password: str) -> str:
        """Return a hash to keep."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Tell whether the password is the hashed one; None takes as long, and is never right.

        The second is a stronger hash to keep instead, where the first was made with less effort.
        """
        if password_hash is None:
            await self._in_thread(lambda: self._hasher.verify(password, self._nobodys))
            return False, None
        return await self._in_thread(
            lambda: self._hasher.verify_and_update(password, password_hash)
        )

    def close(self) -> None:
        """Let the threads end once they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._under_way += 1
        future.add_done_callback(self._ended)
        return await future

    def _ended(self, _: asyncio.Future[ResultT]) -> None:
        self._under_way -= 1
