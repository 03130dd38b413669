"""What stands in a letter, every figure formatted: both its parts are made of this, and so say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bailiwick_notifier.domain.letter import one_line
from bailiwick_notifier.domain.order import Line, NewOrder
from bailiwick_notifier.mail_templates.figures import Figures
from bailiwick_notifier.mail_templates.wording import Plural, Wording

MOST = 20
"""Lines of an order, or orders of a digest, that are shown."""
_LONGEST_NAME = 48
"""Characters of a name in a subject, so that the amount after it is still seen on a phone."""


@dataclass(frozen=True)
class Item:
    """A line of an order, or an order of a digest."""

    title: str
    detail: str
    amount: str
    link: str | None = None


@dataclass(frozen=True)
class Page:
    """A whole letter. `facts` are pairs of a label and what it labels."""

    subject: str
    eyebrow: str
    title: str
    totals: tuple[str, ...]
    preview: str
    hello: str
    facts: tuple[tuple[str, str], ...]
    note: tuple[str, ...]
    items_title: str
    items: tuple[Item, ...]
    more: str | None
    link: str | None
    organization: str
    why: str


@dataclass(frozen=True)
class Setting:
    """For whom a letter is written, and where."""

    wording: Wording
    figures: Figures
    recipient: str
    organization: str
    public_url: str | None

    def link(self, order: NewOrder) -> str | None:
        """Return where the order is opened, if anywhere."""
        return f"{self.public_url.rstrip('/')}/orders/{order.order_id}" if self.public_url else None

    def hello(self, sentence: str) -> str:
        """Return the greeting and what it goes on with."""
        words = self.wording
        hello = words.hello_named.format(name=self.recipient) if self.recipient else words.hello
        return f"{hello} {sentence}"

    def why(self) -> str:
        """Return why the letter comes to this person."""
        return self.wording.why.format(organization=self.organization)


def new_order_page(order: NewOrder, setting: Setting) -> Page:
    """Return the letter about one new order."""
    words, figures = setting.wording, setting.figures
    total = _amount(order, setting)
    number = one_line(order.number)
    customer = one_line(order.customer_name) or number
    lines = figures.counted(words.lines, len(order.lines))
    return Page(
        subject=words.new_order_subject.format(
            number=number, customer=_short(customer), total=total
        ),
        eyebrow=words.new_order_title,
        title=customer,
        totals=(total,),
        preview=f"{total} · {lines}",
        hello=setting.hello(_told_of(order, words)),
        facts=tuple(_facts(order, setting)),
        note=tuple(one_line(line) for line in (order.note or "").strip().splitlines()),
        items_title=lines,
        items=tuple(_line(line, order.currency, setting) for line in order.lines[:MOST]),
        more=_more(len(order.lines), words.more_lines, figures),
        link=setting.link(order),
        organization=setting.organization,
        why=setting.why(),
    )


def digest_page(orders: Sequence[NewOrder], setting: Setting) -> Page:
    """Return the letter about several, the latest first; the totals are of all of them, shown or not.

    What was cancelled is counted by itself, and summed nowhere.
    """
    words, figures = setting.wording, setting.figures
    latest_first = sorted(orders, key=lambda order: order.placed_at, reverse=True)
    totals = tuple(_totals(orders, setting))
    first = figures.day_of(latest_first[-1].placed_at)
    last = figures.day_of(latest_first[0].placed_at)
    one_day = first == last
    days = (
        figures.day(last)
        if one_day
        else words.days.format(first=figures.short_day(first), last=figures.short_day(last))
    )
    return Page(
        subject=figures.counted(
            words.digest_subject, len(orders), totals=figures.joined([*totals])
        ),
        eyebrow=days,
        title=figures.counted(words.digest_title, len(orders)),
        totals=totals,
        preview=figures.joined([one_line(order.customer_name) for order in latest_first[:3]]),
        hello=setting.hello(
            words.told_of_several if len(orders) > 1 else _told_of(orders[0], words)
        ),
        facts=(),
        note=(),
        items_title="",
        items=tuple(_order(order, setting, one_day=one_day) for order in latest_first[:MOST]),
        more=_more(len(orders), words.more_orders, figures),
        link=None,
        organization=setting.organization,
        why=setting.why(),
    )


def _facts(order: NewOrder, setting: Setting) -> list[tuple[str, str]]:
    words, figures = setting.wording, setting.figures
    time = f"{figures.time(order.placed_at)}\u00a0{figures.zone(order.placed_at)}"
    day = figures.day(figures.day_of(order.placed_at))
    facts = [
        (words.order, one_line(order.number)),
        (words.placed, words.at_time.format(day=day, time=time)),
    ]
    if placed_by := one_line(order.placed_by_name):
        facts.append((words.placed_by, placed_by))
    return [*facts, (words.source, words.sources.get(order.source, words.sources["other"]))]


def _line(line: Line, currency: str, setting: Setting) -> Item:
    words, figures = setting.wording, setting.figures
    price = figures.price(line.unit_price, currency)
    details = [one_line(line.sku), f"{figures.number(line.quantity)} × {price}"]
    if line.discount:
        details.append(words.discount.format(percent=figures.percent(line.discount)))
    return Item(
        title=one_line(line.name) or one_line(line.sku),
        detail=_in_a_row(*details),
        amount=figures.amount(line.net, currency),
    )


def _order(order: NewOrder, setting: Setting, *, one_day: bool) -> Item:
    words, figures = setting.wording, setting.figures
    time = figures.time(order.placed_at)
    if not one_day:
        day = figures.short_day(figures.day_of(order.placed_at))
        time = words.at_time.format(day=day, time=time)
    source = words.sources.get(order.source, words.sources["other"])
    number = one_line(order.number)
    return Item(
        title=one_line(order.customer_name) or number,
        detail=_in_a_row(number, time, source),
        amount=_amount(order, setting),
        link=setting.link(order),
    )


def _in_a_row(*details: str) -> str:
    """Join them so that lines break between two of them only."""
    return "\u00a0· ".join(detail.replace(" ", "\u00a0") for detail in details if detail)


def _told_of(order: NewOrder, words: Wording) -> str:
    return words.told_of_cancelled if order.is_cancelled else words.told_of_one


def _amount(order: NewOrder, setting: Setting) -> str:
    """Return what an order comes to: what was cancelled, to nothing any more."""
    if order.is_cancelled:
        return setting.wording.cancelled
    return setting.figures.amount(order.net, order.currency)


def _totals(orders: Sequence[NewOrder], setting: Setting) -> list[str]:
    """Return one exact sum a currency: nothing is added across currencies; then how many were cancelled."""
    figures, sums = setting.figures, dict[str, Decimal]()
    for order in orders:
        if not order.is_cancelled:
            sums[order.currency] = sums.get(order.currency, Decimal(0)) + order.net
    totals = [figures.amount(amount, currency) for currency, amount in sorted(sums.items())]
    if cancelled := sum(order.is_cancelled for order in orders):
        totals.append(figures.counted(setting.wording.cancelled_orders, cancelled))
    return totals


def _more(count: int, sentence: Plural, figures: Figures) -> str | None:
    return figures.counted(sentence, count - MOST) if count > MOST else None


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
