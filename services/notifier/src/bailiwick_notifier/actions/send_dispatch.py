"""Send one mail, asking policy at the last moment whether its recipient may still see what it tells (D21)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from bailiwick_access.authorizer import Gate
from bailiwick_access.caller import Caller
from bailiwick_kit import crash_points
from bailiwick_kit.clock import Clock
from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.telemetry import metrics, trace
from bailiwick_kit.transient_errors import is_outage
from bailiwick_notifier.domain.delivery import Dispatch, Problem, State
from bailiwick_notifier.domain.letter import Addressee, Letter, one_line
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.domain.preferences import NewOrders
from bailiwick_notifier.domain.relation import represents
from bailiwick_notifier.domain.timing import FIRST_PAUSE, next_attempt, next_digest
from bailiwick_notifier.mail.message import domain_of
from bailiwick_notifier.mail.sending import Mail, PutOff, Undeliverable
from bailiwick_notifier.store.dispatches import StoredDispatches
from bailiwick_notifier.store.mail_content import Item, Opened


class Letters(Protocol):
    """Puts new orders into words, in the recipient's language and the organization's time."""

    def new_order(self, order: NewOrder, addressee: Addressee) -> Letter:
        """Return the letter about one new order."""

    def digest(self, orders: Sequence[NewOrder], addressee: Addressee) -> Letter:
        """Return the letter about a day's new orders."""


class Mailer(Protocol):
    """Hands a mail over to the mail server."""

    async def send(self, mail: Mail) -> None:
        """Send it.

        Raises:
            bailiwick_notifier.mail.sending.Undeliverable: it never will arrive.
            bailiwick_notifier.mail.sending.PutOff: it may arrive later, or may have arrived.
        """


log = structlog.get_logger(__name__)

SOON = timedelta(seconds=30)
AGAIN = timedelta(seconds=1)
"""Between two tries to write down what came of an attempt."""
OUTCOMES = ("sent", "refused", "put_off", "may_have_arrived", "not_made", "given_up")
"""What becomes of a mail, as it is counted."""
_CODE = re.compile(r"\b[45]\d\d\b", re.ASCII)


@dataclass(frozen=True)
class Office:
    """What it takes. `sender` is a name with an address in angle brackets."""

    dispatches: StoredDispatches
    gate: Gate
    letters: Letters
    mailer: Mailer
    clock: Clock
    sender: str
    public_url: str | None = None
    deadline: timedelta = timedelta(seconds=30)
    """How long a conversation with the mail server may take."""
    first_pause: timedelta = FIRST_PAUSE

    @property
    def held(self) -> timedelta:
        """How long a claim lasts: well over any conversation, and writing down what came of it."""
        return 4 * self.deadline

    @property
    def domain(self) -> str:
        """The sender's domain, in ASCII, in whose name mails are numbered."""
        return domain_of(self.sender)


async def send_dispatch(office: Office, dispatch: Dispatch) -> None:
    """Send it, settle it without, or put it off. No transaction is open while the server talks."""
    now = office.clock.now()
    opened = await office.dispatches.opened(dispatch, now)
    if opened is None:
        await office.dispatches.put_off(dispatch, now + SOON, Problem.REPLICA_BEHIND)
        return
    # A digest has as many causes as orders; any other mail goes on from its one.
    causes = [item.trace_parent for item in opened.items if item.trace_parent]
    parent = None if dispatch.is_digest else next(iter(causes), None)
    with trace.span("send mail", parent=parent, causes=causes if dispatch.is_digest else ()):
        trace.note("attempts", dispatch.attempts)
        trace.note("orders", len(opened.items))
        await _send_opened(office, dispatch, opened, now)


async def _send_opened(office: Office, dispatch: Dispatch, opened: Opened, now: datetime) -> None:
    if (ending := _ending(opened)) is not None:
        await _do_without(office, dispatch, opened, ending, now)
        return
    if _waits_for_digest(dispatch, opened):
        due = next_digest(opened.recipient.caller.time_zone, now)
        await office.dispatches.keep_for_digest(dispatch, *due)
        trace.note("outcome", "kept")
        return
    try:
        seen = await _viewable(office.gate, opened)
        seen = await _with_present_names(office.gate, opened.recipient.caller, seen)
    except PolicyUnavailable as error:
        trace.failed(error)
        await office.dispatches.put_off(dispatch, now + SOON, Problem.POLICY_UNAVAILABLE)
        return
    if not seen:
        ending = (State.SUPPRESSED, Problem.OUT_OF_SIGHT)
        await _do_without(office, dispatch, opened, ending, now)
        return
    if not (address := opened.recipient.email):
        ending = (State.FAILED, Problem.NO_ADDRESS)
        await _do_without(office, dispatch, opened, ending, now)
        return
    kept = [item.delivery_id for item in seen]
    dropped = [*{item.delivery_id for item in opened.items}.difference(kept)]
    crash_points.reach("dispatch.before-begin")
    now = office.clock.now()  # asking about a long digest took its time: a claim runs from here on
    begun = await office.dispatches.begin(dispatch, kept, dropped, now, now + office.held)
    if begun is not None:
        await _attempt(office, begun, opened, seen, address)


async def _do_without(
    office: Office,
    dispatch: Dispatch,
    opened: Opened,
    ending: tuple[State, Problem | None],
    now: datetime,
) -> None:
    """Settle all of it, and send nothing."""
    trace.note("outcome", ending[0].value)
    everything = [item.delivery_id for item in opened.items]
    await office.dispatches.finish(dispatch, everything, *ending, now)


def _ending(opened: Opened) -> tuple[State, Problem | None] | None:
    if not opened.recipient.is_active:
        return State.SUPPRESSED, Problem.RECIPIENT_INACTIVE
    if opened.preferences.new_orders is NewOrders.OFF:
        return State.DECLINED, None
    if not opened.items:  # all of a digest's deliveries have gone elsewhere
        return State.SUPPRESSED, None
    return None


def _waits_for_digest(dispatch: Dispatch, opened: Opened) -> bool:
    """Tell whether it is kept; what may have gone out already is not told a second time in a digest."""
    wants_digests = opened.preferences.new_orders is NewOrders.DAILY
    return wants_digests and not dispatch.is_digest and dispatch.attempts == 0


async def _viewable(gate: Gate, opened: Opened) -> list[Item]:
    """Return what policy lets the recipient view now, as if they read it themselves.

    Policy knows an order by its facts alone: what is alike to it is asked about once.
    """
    caller = opened.recipient.caller
    known: dict[frozenset[tuple[str, object]], bool] = {}
    seen = []
    for item in opened.items:
        alike = frozenset(item.facts.items())
        if alike not in known:
            known[alike] = await gate.may(caller, "orders", "view", order=item.facts)
        if known[alike]:
            seen.append(item)
    return seen


async def _with_present_names(gate: Gate, caller: Caller, items: Sequence[Item]) -> list[Item]:
    """Return them with what their customers are called now, where the recipient may know that.

    Of customers whom they represent no more they know the name that the order keeps (domain §3).
    """
    renamed = [one for one in items if one.called_now not in {None, one.order.customer_name}]
    is_asked = any(not represents(item.facts) for item in renamed)
    is_hidden = is_asked and (await gate.scope(caller, "orders")).hides("order", "customer")
    return [
        item if is_hidden and not represents(item.facts) else _called_as_now(item) for item in items
    ]


def _called_as_now(item: Item) -> Item:
    name = item.called_now or item.order.customer_name
    return replace(item, order=replace(item.order, customer_name=name))


def _mail(
    office: Office, dispatch: Dispatch, opened: Opened, items: Sequence[Item], address: str
) -> Mail:
    recipient, caller = opened.recipient, opened.recipient.caller
    orders = [item.order for item in items]
    name = one_line(caller.name) or None
    addressee = Addressee(
        name=name,
        language=opened.preferences.language or recipient.language or "en",
        time_zone=caller.time_zone,
        organization_name=recipient.organization_name,
        public_url=office.public_url,
    )
    letter = (
        office.letters.digest(orders, addressee)
        if dispatch.is_digest
        else office.letters.new_order(orders[0], addressee)
    )
    return Mail(
        message_id=dispatch.message_id(office.domain),
        sender=office.sender,
        recipient=address,
        recipient_name=name,
        subject=one_line(letter.subject),
        text=letter.text,
        html=letter.html,
    )


async def _attempt(
    office: Office, dispatch: Dispatch, opened: Opened, items: Sequence[Item], address: str
) -> None:
    """Write the mail, talk to the mail server, and write down what came of it.

    A mail that cannot be made is a fault of ours, and may be made by the next version: it is tried for as
    long as one that a server puts off.
    """
    told = {"dispatch_id": str(dispatch.dispatch_id), "attempts": dispatch.attempts}
    deliveries = [item.delivery_id for item in items]
    crash_points.reach("dispatch.before-send")
    try:
        mail = _mail(office, dispatch, opened, items, address)
        began = time.perf_counter()
        await office.mailer.send(mail)
    except Undeliverable as error:
        problem = _problem(Problem.REFUSED, error)
        _count_timed("refused", began)
        log.error("mail.undeliverable", problem=problem, **told)  # noqa: TRY400 - its place is known
        await _finish(office, dispatch, deliveries, State.FAILED, problem)
    except PutOff as error:
        unknown = error.may_have_arrived
        _count_timed("may_have_arrived" if unknown else "put_off", began)
        problem = _problem(Problem.MAY_HAVE_ARRIVED if unknown else Problem.PUT_OFF, error)
        await _put_off(office, dispatch, deliveries, problem)
    except Exception as error:  # no server's answer: those are the two above
        trace.failed(error)
        _count("not_made")
        log.exception("mail.not_made", **told)
        await _put_off(office, dispatch, deliveries, Problem.NOT_MADE)
    else:
        _count_timed("sent", began)
        crash_points.reach("dispatch.after-send")
        await _finish(office, dispatch, deliveries, State.SENT, None)
        crash_points.reach("dispatch.after-finish")
        log.info("mail.sent", orders=len(deliveries), **told)


def _count(outcome: str) -> None:
    trace.note("outcome", outcome)
    metrics.MAIL.labels(outcome).inc()


def _count_timed(outcome: str, began: float) -> None:
    _count(outcome)
    metrics.MAIL_SECONDS.observe(time.perf_counter() - began)


async def _finish(
    office: Office,
    dispatch: Dispatch,
    deliveries: Sequence[UUID],
    state: State,
    problem: str | None,
) -> None:
    now, finish = office.clock.now(), office.dispatches.finish
    await _written(office, dispatch, lambda: finish(dispatch, deliveries, state, problem, now))


async def _put_off(
    office: Office, dispatch: Dispatch, deliveries: Sequence[UUID], problem: str
) -> None:
    now, first = office.clock.now(), dispatch.first_attempt_at
    until = next_attempt(dispatch.attempts, first or now, now, office.first_pause)
    told = {"dispatch_id": str(dispatch.dispatch_id), "attempts": dispatch.attempts}
    if until is None:
        log.error("mail.given_up", problem=problem, **told)
        metrics.MAIL.labels("given_up").inc()
        await _finish(office, dispatch, deliveries, State.FAILED, problem)
    else:
        log.warning("mail.put_off", problem=problem, **told)
        put_off = office.dispatches.put_off
        await _written(office, dispatch, lambda: put_off(dispatch, until, problem))


async def _written(
    office: Office, dispatch: Dispatch, write: Callable[[], Awaitable[None]]
) -> None:
    """Write it down, a database that is away notwithstanding: else what is known would be tried again.

    Raises:
        Exception: the claim is about to run out, or it is no outage.
    """
    while True:
        try:
            await write()
        except Exception as error:
            if not is_outage(error) or office.clock.now() + AGAIN >= dispatch.held_until:
                raise
            log.warning("mail.unwritten", dispatch_id=str(dispatch.dispatch_id))
            await asyncio.sleep(AGAIN.total_seconds())
        else:
            return


def _problem(problem: Problem, error: Exception) -> str:
    """Return a short code, with the server's own where there is one: never its words, which name people."""
    code = _CODE.search(str(error))
    return f"{problem}-{code[0]}" if code else str(problem)
