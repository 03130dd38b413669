"""An event without a queue is tried for minutes, then parked; an operator lists, shows, replays and drops."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from bailiwick_kit.bus.broker import open_channel
from bailiwick_kit.bus.outbox_notify import plain_dsn
from bailiwick_kit.bus.relay import LIVE, UNCONFIRMED, LaneRelay
from bailiwick_kit.bus.relay_statements import PARKED_AFTER
from bailiwick_kit.bus.topology import direct_exchange
from bailiwick_kit.process.outbox_commands import outbox_commands
from bailiwick_testkit.services.toy import Things, changed
from bailiwick_testkit.waiting import running, until

ORG = UUID(int=1)
NOWHERE = "subscriber.typo"


async def tried(things: Things, event_id: UUID, times: int, error: str) -> None:
    """Say that an event has failed so many times, and is to be tried again now."""
    await things.ask(
        "UPDATE outbox SET attempts = $2, error = $3, retry_at = now() WHERE event_id = $1",
        *(event_id, times, error),
    )


async def parked(things: Things) -> list[UUID]:
    rows = await things.ask("SELECT event_id FROM outbox WHERE parked_at IS NOT NULL")
    return [row["event_id"] for row in rows]


async def test_what_is_returned_again_and_again_is_parked_and_tried_no_more(things: Things) -> None:
    [first, last, late] = await things.change(*(changed(ORG) for _ in range(3)), recipient=NOWHERE)
    await tried(things, last, PARKED_AFTER - 1, "PublishError")
    await tried(things, late, 50, UNCONFIRMED)  # by a broker that was away: no fault of its own
    with capture_logs() as logs:
        async with running(things.relay().run):

            async def is_tried() -> bool:
                waiting = await things.one(
                    "SELECT min(attempts) FROM outbox WHERE event_id <> $1", last
                )
                return int(waiting) >= 2

            await until(is_tried)
            assert await parked(things) == [last]
            async with open_channel(things.broker_url, "test") as channel:
                queue = await channel.declare_queue(NOWHERE, exclusive=True)
                await queue.bind(direct_exchange("things"))

                async def are_sent() -> bool:
                    return await things.unsent() == 1

                await until(are_sent)
                got = await queue.get(no_ack=True), await queue.get(no_ack=True)
    assert {message.message_id for message in got if message} == {str(first), str(late)}
    assert await things.one("SELECT attempts FROM outbox WHERE event_id = $1", last) == PARKED_AFTER
    told = [line for line in logs if line["event"] == "relay.parked"]
    assert [(line["count"], line["event_id"], line["log_level"]) for line in told] == [
        (1, str(last), "error")
    ]


@pytest.mark.parametrize("error", [UNCONFIRMED, "DeliveryError"])
async def test_what_was_not_returned_is_never_parked(things: Things, error: str) -> None:
    [event_id] = await things.change(changed(ORG))
    await tried(things, event_id, 1000, error)
    position = await things.one("SELECT position FROM outbox")
    database = await asyncpg.connect(plain_dsn(things.urls.worker))
    try:
        await LaneRelay(things.relay(), LIVE)._postpone(database, [(position, error, 5, False)])
    finally:
        await database.close()
    rows = await things.ask("SELECT attempts, parked_at, retry_at > now() AS waits FROM outbox")
    assert [tuple(row) for row in rows] == [(1001, None, True)]


@pytest.fixture
async def failed(silent: Things) -> list[UUID]:
    """Two events that are parked, one that is tried again, and one that has not failed."""
    ids = [*await silent.change(changed(ORG), changed(ORG), recipient=NOWHERE)]
    ids += await silent.change(changed(ORG), changed(ORG))
    for event_id in ids[:3]:
        await tried(silent, event_id, PARKED_AFTER, "PublishError")
    await silent.ask("UPDATE outbox SET parked_at = now() WHERE recipient IS NOT NULL")
    return ids


async def run(things: Things, *arguments: str) -> Result:
    program = outbox_commands(lambda: things.urls.worker)
    return await asyncio.to_thread(CliRunner().invoke, program, list(arguments))


async def test_events_that_could_not_be_sent_are_listed_and_shown(
    silent: Things, failed: list[UUID]
) -> None:
    done = await run(silent, "list")
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    assert [(line[0], line[3], line[4]) for line in lines] == [
        (str(failed[0]), NOWHERE, "parked"),
        (str(failed[1]), NOWHERE, "parked"),
        (str(failed[2]), "-", "tried"),
    ]
    assert {line[5] for line in lines} == {f"{PARKED_AFTER}x PublishError"}
    assert (await run(silent, "list", "--to", NOWHERE)).stdout == "".join(
        f"{'  '.join(line)}\n" for line in lines[:2]
    )
    shown = await run(silent, "show", str(failed[1]))
    assert shown.stdout.splitlines()[0] == "  ".join(lines[1])
    assert f'"org_id":"{ORG}"' in shown.stdout
    for command in ("show", "replay", "drop"):
        missing = await run(silent, command, str(failed[3]))
        assert (missing.exit_code, "No such event" in missing.stderr) == (1, True)


async def test_what_is_replayed_is_as_if_it_had_never_been_tried(
    silent: Things, failed: list[UUID]
) -> None:
    assert (await run(silent, "replay", str(failed[0]))).stdout == "1 replayed\n"
    assert await parked(silent) == [failed[1]]
    assert (await run(silent, "replay", "--to", NOWHERE)).stdout == "1 replayed\n"
    assert (await run(silent, "replay")).stdout == "1 replayed\n"
    assert (await run(silent, "replay")).stdout == "0 replayed\n"
    rows = await silent.ask("SELECT retry_at, attempts, error, parked_at FROM outbox")
    assert {tuple(row) for row in rows} == {(None, 0, None, None)}


async def test_what_is_dropped_is_gone_and_nothing_else(silent: Things, failed: list[UUID]) -> None:
    assert (await run(silent, "drop")).exit_code == 2
    assert (await run(silent, "drop", "--to", "elsewhere")).stdout == "0 dropped\n"
    assert (await run(silent, "drop", str(failed[2]))).stdout == "1 dropped\n"
    assert (await run(silent, "drop", "--to", NOWHERE)).stdout == "2 dropped\n"
    rows = await silent.ask("SELECT event_id FROM outbox")
    assert [row["event_id"] for row in rows] == [failed[3]]


async def test_very_many_are_changed_piece_by_piece(silent: Things) -> None:
    await silent.ask(
        """
        INSERT INTO outbox (event_id, org_id, subject, type, body, error, retry_at, parked_at, recipient)
        SELECT gen_random_uuid(), $1, $1, 'a', '', 'PublishError', now(), now(), $2
        FROM generate_series(1, 12000)
        """,
        *(ORG, NOWHERE),
    )
    listed = await run(silent, "list")
    assert len(listed.stdout.splitlines()) == 1000
    assert listed.stderr == "11000 more, not listed\n"
    assert (await run(silent, "drop", "--to", NOWHERE)).stdout == "12000 dropped\n"


async def test_without_the_database_the_command_says_so() -> None:
    program = outbox_commands(lambda: "postgresql+asyncpg://nobody:hunter2@127.0.0.1:9/none")
    done = await asyncio.to_thread(CliRunner().invoke, program, ["list"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "does not answer" in done.stderr
    assert "hunter2" not in done.stderr
