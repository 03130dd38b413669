"""What is settled goes after thirty days, and what is not stays, however old."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from bailiwick_notifier.mail.sending import PutOff
from bailiwick_notifier.store.retention import KEPT, Retention
from bailiwick_testkit.services.notifier import NotifierService


async def kept(room: NotifierService) -> dict[str, int]:
    counts = {}
    async with room.shop.database.reading(room.shop.org_id) as connection:
        for name in ("notices", "deliveries", "digests"):
            table = getattr(room.shop.tables, name)
            found = await connection.execute(sa.select(sa.func.count()).select_from(table))
            counts[name] = int(found.scalar_one())
    return counts


async def test_what_is_settled_goes_when_its_time_has_come_and_what_is_pending_stays(
    room: NotifierService,
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    mia = await room.person("Mia", "brand_manager")
    customer = await room.customer(ana)
    await room.come_in(customer, mia)
    await room.come_in(customer, ana)  # of which nobody is told
    wanted, headers = {"new_orders": "daily"}, {"If-Match": "*"}
    path = "/v1/notification-preferences"
    await room.shop.api.send(ana, "PUT", path, json=wanted, headers=headers)
    await room.come_in(customer, mia)
    await room.later(days=1)
    wanted = {"new_orders": "at_once"}
    await room.shop.api.send(ana, "PUT", path, json=wanted, headers=headers)
    room.server.answers = [PutOff("451", may_have_arrived=False)]
    await room.come_in(customer, mia)
    assert await kept(room) == {"notices": 4, "deliveries": 3, "digests": 1}

    tidying = Retention(room.shop.database, room.clock)
    room.clock.instant += KEPT - timedelta(hours=1)
    await tidying.tidy()
    assert await kept(room) == {"notices": 2, "deliveries": 2, "digests": 1}
    room.clock.instant += timedelta(days=1)
    await tidying.tidy()
    assert await kept(room) == {"notices": 1, "deliveries": 1, "digests": 0}

    await room.work()
    room.clock.instant += KEPT + timedelta(hours=1)
    await tidying.tidy()
    assert await kept(room) == {"notices": 0, "deliveries": 0, "digests": 0}
