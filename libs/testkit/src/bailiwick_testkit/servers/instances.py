"""Two instances of a service behind a router that knows who is ready, and clients that retry once (F26).

What Kubernetes does with endpoints, on one machine: a router looks at each instance's readiness now and
then, and sends new requests to those that are ready. Connections are kept alive, as a gateway keeps them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

from bailiwick_launcher.data_folder import claimed_port
from bailiwick_launcher.processes import Process
from bailiwick_launcher.stacks.native import NativeStack
from bailiwick_testkit.waiting import until

LOOK = 0.25
"""Seconds between two looks of the router: for that long it may send to a instance that is not ready."""
_OK = 200
_TRY_ELSEWHERE = (502, 503, 504)


@dataclass(frozen=True)
class Instance:
    """One of a service's processes: where requests go, and where it is asked how it is."""

    process: Process
    address: str
    operations: str


def instances_of(stack: NativeStack, service: str) -> tuple[Instance, Instance]:
    """Return the stack's own process of a service, and another that is not started yet."""
    own = stack.service(service)
    first = Instance(own, stack.address(service), stack.operations(service))
    listen, operations = f"127.0.0.1:{claimed_port()}", f"127.0.0.1:{claimed_port()}"
    environment = {
        **own.environment,
        "BAILIWICK_LISTEN": listen,
        "BAILIWICK_OPERATIONS_LISTEN": operations,
    }
    name = f"{service}-second"
    other = Process(name, stack.places, own.arguments, environment, rank=own.rank)
    return first, Instance(other, f"http://{listen}", f"http://{operations}")


@dataclass
class Router:
    """Gives the instances in turn, those alone that were ready when it last looked."""

    session: aiohttp.ClientSession
    instances: Sequence[Instance]
    ready: list[Instance] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            answers = await asyncio.gather(*(self._is_ready(one) for one in self.instances))
            self.ready = [
                one for one, is_ready in zip(self.instances, answers, strict=True) if is_ready
            ]
            await asyncio.sleep(LOOK)

    async def all_ready(self) -> bool:
        """Say whether every instance is sent requests."""
        return len(self.ready) == len(self.instances)

    def next(self, besides: Instance | None = None) -> Instance:
        """Give the one whose turn it is; whoever has just failed somebody only if there is no other."""
        others = [one for one in self.ready if one is not besides] or self.ready
        candidates = others or list(self.instances)
        return candidates[next(self._turns) % len(candidates)]

    async def _is_ready(self, instance: Instance) -> bool:
        try:
            limit = aiohttp.ClientTimeout(total=1)
            async with self.session.get(f"{instance.operations}/ready", timeout=limit) as answer:
                return answer.status == _OK
        except (aiohttp.ClientError, OSError):
            return False


@dataclass(frozen=True)
class Request:
    """What a client sends again and again; `id_field` is where the answer to a POST has the record's id."""

    path: str
    body: Mapping[str, Any] | None = None
    id_field: str = ""


@dataclass
class Load:
    """Clients at work on one service, and what came of it."""

    router: Router
    token: str
    requests: Sequence[Request]
    pause: float = 0
    """Seconds between two requests of a client."""
    answered: int = 0
    retried: int = 0
    promised: list[str] = field(default_factory=list)
    """Ids of the records that were made."""
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Send, one after the other, until cancelled; what is under way then is not counted."""
        for request in itertools.cycle(self.requests):
            await self._send(request)
            await asyncio.sleep(self.pause)

    async def more(self, count: int) -> None:
        """Return when so many more requests have been answered."""
        wanted = self.answered + count

        async def are_there() -> bool:
            return self.answered >= wanted

        await until(are_there, f"{count} more answers", within=60)

    async def _send(self, request: Request) -> None:
        key = str(uuid4())
        instance = self.router.next()
        problem = await self._tried(instance, request, key)
        if problem is not None:
            self.retried += 1
            problem = await self._tried(self.router.next(besides=instance), request, key)
        if problem is not None:
            self.failures.append(f"{request.path}: {problem}")
        self.answered += problem is None

    async def _tried(self, instance: Instance, request: Request, key: str) -> str | None:
        """Return what went wrong, None if nothing."""
        headers = {"Authorization": f"Bearer {self.token}"}
        method, data = "GET", None
        if request.body is not None:
            headers |= {"Idempotency-Key": key, "Content-Type": "application/json"}
            method, data = "POST", json.dumps(request.body)
        url = f"{instance.address}{request.path}"
        try:
            async with self.router.session.request(
                method, url, headers=headers, data=data
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            return f"{type(error).__name__} from {instance.process.name}"
        if answer.status in _TRY_ELSEWHERE or answer.status >= 400:  # noqa: PLR2004 - any error
            return f"{answer.status} from {instance.process.name}: {body[:300]!r}"
        if request.id_field:
            self.promised.append(json.loads(body)[request.id_field])
        return None


@asynccontextmanager
async def loaded(
    instances: Sequence[Instance],
    token: str,
    requests: Sequence[Request],
    *,
    clients: int = 6,
    pause: float = 0,
) -> AsyncIterator[Load]:
    """Let clients send to the instances until the block ends."""
    limit = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=limit) as session:
        router = Router(session, instances)
        load = Load(router, token, requests, pause)
        watching = asyncio.create_task(router.run())
        await until(router.all_ready, "both are ready", within=60)
        working = [asyncio.create_task(load.run()) for _ in range(clients)]
        try:
            yield load
        finally:
            for task in (*working, watching):
                task.cancel()
            await asyncio.gather(*working, watching, return_exceptions=True)
