"""Do one job of the service in a process of its own, so that a test can see it die.

`python -m bailiwick_testkit.things relay|consume|change`, with `THINGS` holding where everything is.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from uuid import UUID

from bailiwick_local.databases import DatabaseUrls
from bailiwick_testkit.things import changed, open_things


async def main(job: str, where: dict[str, str]) -> None:
    """Do the job; relaying and consuming go on until somebody ends the process."""
    urls = DatabaseUrls(where["name"], where["owner"], where["api"], where["worker"])
    async with open_things(urls, where["broker"], where["admin"]) as things:
        match job:
            case "relay":
                await things.relay().run()
            case "consume":
                await things.consumer().run()
            case _:
                await things.change(changed(UUID(int=1), UUID(int=1)))


asyncio.run(main(sys.argv[1], json.loads(os.environ["THINGS"])))
