"""Keeps a tally of an organization's placed orders, and their net by currency: copy it and begin from here.

python tally.py amqp://USER:PASSWORD@HOST:PORT/ QUEUE tally.db
"""

import asyncio
import json
import sqlite3
import sys
from decimal import Decimal

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

TABLES = """
CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS tally (currency TEXT PRIMARY KEY, orders INTEGER, net TEXT);
"""


def count(database: sqlite3.Connection, message: AbstractIncomingMessage) -> None:
    """Count an order, once however often it comes: the event's id and its effect commit together."""
    with database:
        event_id, event_type = message.headers["ce-id"], message.headers["ce-type"]
        is_new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [event_id]).rowcount
        if not is_new or event_type != "orders.order.placed.v1":
            return
        order = json.loads(message.body)
        so_far = "SELECT orders, net FROM tally WHERE currency = ?"
        orders, net = database.execute(so_far, [order["currency"]]).fetchone() or (0, "0")
        net = Decimal(net) + Decimal(order["net"])  # amounts are strings, and never floats
        row = [order["currency"], orders + 1, str(net)]
        database.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?)", row)


async def listen(url: str, queue: str, database: sqlite3.Connection) -> None:
    """Take events from the queue until the connection is lost."""
    async with await aio_pika.connect(url, heartbeat=10) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=50)
        async with (await channel.get_queue(queue)).iterator() as messages:
            async for message in messages:
                count(database, message)
                await message.ack()  # after the commit: what is not acknowledged comes again
                print(database.execute("SELECT * FROM tally").fetchall(), flush=True)


async def main(url: str, queue: str, path: str) -> None:
    """Listen for ever; connect again whenever the broker was away."""
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    while True:
        try:
            await listen(url, queue, database)
        except (OSError, aio_pika.exceptions.AMQPError) as error:
            print(f"connecting again: {error!r}", file=sys.stderr)
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
