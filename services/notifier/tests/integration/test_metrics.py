"""What became of mails, and what waits, in figures that name nobody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bailiwick_kit.telemetry.metrics import MAIL
from bailiwick_notifier.actions.send_dispatch import OUTCOMES
from bailiwick_notifier.mail.sending import PutOff, Undeliverable
from bailiwick_notifier.store.backlog_metrics import Waiting
from bailiwick_testkit.checks.metric_values import figure, rise_of
from bailiwick_testkit.fakes.people import Person
from bailiwick_testkit.services.notifier import NotifierService
from bailiwick_testkit.waiting import running, until

PUT_OFF = PutOff("the server answered 451 (SMTPDataError)", may_have_arrived=False)
UNKNOWN = PutOff("TimeoutError", may_have_arrived=True)
REFUSED = Undeliverable("the server answered 550 (SMTPRecipientRefused)")


@pytest.fixture
async def mia(room: NotifierService) -> Person:
    return await room.person("Mia", "brand_manager")


async def test_mails_are_counted_and_timed_by_what_came_of_them(
    room: NotifierService, mia: Person
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    customer = await room.customer(ana)
    rises = {one: rise_of("bailiwick_mail_total", outcome=one) for one in OUTCOMES}
    timed = rise_of("bailiwick_mail_seconds_count")

    def counted() -> Mapping[str, float]:
        return {outcome: rise() for outcome, rise in rises.items() if rise()}

    await room.come_in(customer, mia)
    assert counted() == {"sent": 1}
    room.server.answers = [REFUSED]
    await room.come_in(customer, mia)
    assert counted() == {"sent": 1, "refused": 1}
    room.server.answers = [PUT_OFF, UNKNOWN, PUT_OFF]
    await room.come_in(customer, mia)
    assert counted() == {"sent": 1, "refused": 1, "put_off": 1}
    await room.later(minutes=1)
    assert counted() == {"sent": 1, "refused": 1, "put_off": 1, "may_have_arrived": 1}
    with capture_logs():
        await room.later(days=2)
    assert counted() == {
        "sent": 1,
        "refused": 1,
        "put_off": 2,
        "may_have_arrived": 1,
        "given_up": 1,
    }
    assert timed() == len(room.server.tried) == 5


async def test_a_mail_that_could_not_be_made_is_counted_each_time_and_not_timed(
    room: NotifierService, mia: Person
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    rises = {one: rise_of("bailiwick_mail_total", outcome=one) for one in OUTCOMES}
    timed = rise_of("bailiwick_mail_seconds_count")
    room.server.answers = [UnicodeError(), UnicodeError()]
    with capture_logs():
        await room.come_in(await room.customer(ana), mia)
        await room.later(minutes=1)
    assert {outcome: rise() for outcome, rise in rises.items() if rise()} == {"not_made": 2}
    assert timed() == 0


async def test_outcomes_that_never_were_are_0_so_that_the_first_is_a_rise(
    room: NotifierService,
) -> None:
    MAIL.clear()  # what other tests counted

    async def are_told() -> bool:
        return all(figure("bailiwick_mail_total", outcome=one) == 0 for one in OUTCOMES)

    async with running(room.sending().run):
        await until(are_told)


async def test_what_waits_is_counted_over_all_organizations(
    room: NotifierService, mia: Person
) -> None:
    ana = await room.person("Ana", permissions=["seller"])
    customer = await room.customer(ana)

    async def become(notices: int, mails: int) -> None:
        async def are_so() -> bool:
            waiting = [figure(f"bailiwick_{one}_waiting") for one in ("notices", "mails")]
            return waiting == [notices, mails]

        await until(are_so, f"{notices} notices and {mails} mails")

    async with running(Waiting(room.shop.database, room.clock, every=0.02).run):
        await become(0, 0)
        await room.take(room.order(customer, mia))
        await room.take(room.order(customer, mia))
        await become(2, 0)
        await room.fixing().round()
        await become(0, 2)
        room.clock.instant -= timedelta(seconds=1)
        await become(0, 0)  # their time has not come
        room.clock.instant += timedelta(seconds=1)
        await room.work()
        await become(0, 0)
        daily = {"json": {"new_orders": "daily"}, "headers": {"If-Match": "*"}}
        await room.shop.api.send(ana, "PUT", "/v1/notification-preferences", **daily)
        await room.come_in(customer, mia)
        await become(0, 0)
        room.clock.instant += timedelta(days=1)
        await become(0, 1)  # a digest
