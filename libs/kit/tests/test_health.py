"""The operations port says how a process is, by name and never why; the probe asks it."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bailiwick_kit.policy.client import Question
from bailiwick_kit.process.health import Check, Health, NotYetError, health_of
from bailiwick_kit.process.operations import operations
from bailiwick_kit.settings import ServiceSettings
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_launcher.databases import DatabaseUrls
from bailiwick_testkit.fakes.opa import UCAST, fake_opa, raw, said
from bailiwick_testkit.services.application import settings_for


@asynccontextmanager
async def asked(health: Health, port: int) -> AsyncIterator[Any]:
    async with operations("127.0.0.1", port, health), aiohttp.ClientSession() as session:

        async def ask(path: str) -> tuple[int, Any]:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.json()

        yield ask


def checks(state: dict[str, bool]) -> dict[str, Check]:
    def check(name: str) -> Check:
        async def passes() -> None:
            if not state[name]:
                raise ConnectionError("postgresql://user:hunter2@host")

        return passes

    async def frozen() -> None:
        await asyncio.sleep(5 if state.get("frozen") else 0)

    return {"database": check("database"), "policy": check("policy"), "frozen": frozen}


async def test_ready_means_that_every_check_passes_and_live_that_somebody_answers() -> None:
    state = {"database": True, "policy": True}
    async with asked(Health(checks(state), deadline=0.05), claimed_port()) as ask:
        fine = {"database": "ok", "policy": "ok", "frozen": "ok"}
        assert await ask("/ready") == (200, {"status": "ok", "checks": fine})
        state |= {"policy": False, "frozen": True}
        with capture_logs() as logs:
            status, body = await ask("/ready")
        assert status == 503
        assert body["checks"] == {"database": "ok", "policy": "failed", "frozen": "failed"}
        assert "hunter2" not in str(body) + str(logs)
        assert await ask("/live") == (200, {"status": "ok"})


async def test_an_answer_that_came_in_time_counts_however_late_it_is_read() -> None:
    """A process that had no processor for a while is no worse than before."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    def answer_and_wait() -> None:
        theirs.sendall(b".")
        time.sleep(0.2)

    async def answers() -> None:
        asyncio.get_running_loop().call_soon(answer_and_wait)
        await reader.readexactly(1)

    assert await Health({"database": answers}, deadline=0.1).ready() == (True, {"database": "ok"})
    writer.close()
    theirs.close()


async def test_a_part_that_joins_while_the_others_are_asked_is_asked_from_then_on() -> None:
    async def passes() -> None:
        health.also("worker", passes)

    health = Health({"database": passes})
    assert await health.ready() == (True, {"database": "ok"})
    assert await health.ready() == (True, {"database": "ok", "worker": "ok"})


async def test_started_is_for_good_and_who_stops_is_not_ready() -> None:
    state = {"database": False, "policy": True}
    health = Health(checks(state))
    begun = asyncio.Event()

    async def has_begun() -> None:
        if not begun.is_set():
            raise NotYetError

    health.also("http", has_begun)
    async with asked(health, claimed_port()) as ask:
        with capture_logs():
            assert (await ask("/started"))[0] == 503
            state["database"] = True
            assert (await ask("/started"))[0] == 503
            begun.set()
            assert (await ask("/started"))[0] == 200
            state["database"] = False
            assert ((await ask("/started"))[0], (await ask("/ready"))[0]) == (200, 503)
        state["database"] = True
        assert (await ask("/ready"))[0] == 200
        health.stop()
        assert ((await ask("/ready"))[0], (await ask("/live"))[0]) == (503, 200)


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - asked on loopback
async def test_probe_exits_by_what_the_port_says(listen: str) -> None:
    state = {"database": True, "policy": True}
    port = claimed_port()

    async def probed(*arguments: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bailiwick_kit.probe", *arguments),
            env={"BAILIWICK_OPERATIONS_LISTEN": f"{listen}:{port}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return await process.wait()

    assert await probed() == 1
    async with asked(Health(checks(state)), port):
        assert await probed() == 0
        state["policy"] = False
        assert (await probed("ready"), await probed("live")) == (1, 0)


DECISION = {"capable": True, "visible": True, "allow": True, "reasons": [], "masks": {}}


async def test_nobody_is_ready_before_policy_has_answered_each_question(urls: DatabaseUrls) -> None:
    questions = [Question(f"p/{name}", name, {"action": "view"}, {}) for name in ("a", "b")]
    right = {
        "/v1/data/bailiwick/sentinel/revision": said({"result": "r"}),
        **{
            f"/v1/compile/p/{name}/include": said({"result": {"query": {}, "masks": {}}}, UCAST)
            for name in ("a", "b")
        },
        **{
            f"/v1/data/p/{name}/decision": said({"result": DECISION | {"revision": "r"}})
            for name in ("a", "b")
        },
    }
    async with fake_opa() as opa:
        settings = settings_for(ServiceSettings, urls, policy_url=opa.url)
        async with health_of(settings, urls.api, questions) as health:

            async def ready() -> bool:
                opa.asked.clear()
                with capture_logs():
                    is_ready, states = await health.ready()
                assert states == {"database": "ok", "policy": "ok" if is_ready else "failed"}
                return is_ready

            opa.answers = dict.fromkeys(right, raw(b"", status="500 Oops"))
            for (
                path,
                answer,
            ) in right.items():  # in the order in which they are asked, or in another
                assert not await ready()
                opa.answers[path] = answer
            assert await ready()
            assert await ready()
            sentinel, *asked = right
            assert [path for path, _, _ in opa.asked] == [sentinel]
            opa.answers[sentinel] = raw(b"", status="500 Oops")  # it starts anew, and compiles anew
            assert not await ready()
            opa.answers[sentinel] = right[sentinel]
            assert await ready()
            assert {path for path, _, _ in opa.asked} == {sentinel, *asked}
