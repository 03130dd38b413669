"""Numbers, amounts, days and times, as people write them in one language, in the organization's time."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision

from bailiwick_notifier.mail_templates.wording import Plural, Wording

_EXACT = Context(prec=64, rounding=ROUND_HALF_UP)


class Figures:
    """What is shown of an order's figures. Amounts are rounded here, once, half up, and nowhere before."""

    def __init__(self, wording: Wording, time_zone: str) -> None:
        self._wording = wording
        self._locale = wording.locale
        self._zone = ZoneInfo(time_zone)

    def amount(self, amount: Decimal, currency: str) -> str:
        """Return an amount with as many decimals as its currency has."""
        return _spaced(format_currency(_rounded(amount, currency), currency, locale=self._locale))

    def price(self, amount: Decimal, currency: str) -> str:
        """Return the price of a piece, which may have more decimals than its currency: they are shown."""
        if amount == _rounded(amount, currency):
            return self.amount(amount, currency)
        exact = format_currency(
            amount.normalize(_EXACT), currency, locale=self._locale, decimal_quantization=False
        )
        return _spaced(exact)

    def number(self, number: Decimal) -> str:
        """Return a number with the decimals that it has."""
        return _spaced(format_decimal(number, locale=self._locale, decimal_quantization=False))

    def percent(self, fraction: Decimal) -> str:
        """Return a fraction in per cent."""
        return _spaced(format_percent(fraction, locale=self._locale, decimal_quantization=False))

    def day_of(self, instant: datetime) -> date:
        """Return the day that an instant falls on where the organization is."""
        return instant.astimezone(self._zone).date()

    def day(self, day: date) -> str:
        """Return a day in full."""
        return format_date(day, "full", locale=self._locale)

    def short_day(self, day: date) -> str:
        """Return a day without its year."""
        return format_skeleton("MMMd", day, locale=self._locale)

    def time(self, instant: datetime) -> str:
        """Return the time where the organization is."""
        return format_time(
            instant.astimezone(self._zone), "short", tzinfo=self._zone, locale=self._locale
        )

    def zone(self, instant: datetime) -> str:
        """Return what the organization's time is called just then: CET, or UTC-03."""
        name = instant.astimezone(self._zone).tzname() or ""
        return name if name.isalpha() else f"UTC{name}"

    def joined(self, texts: list[str]) -> str:
        """Return a list in words."""
        return format_list(texts, locale=self._locale)

    def counted(self, plural: Plural, count: int, **more: str) -> str:
        """Return what is said of so many."""
        # French counts nothing as one; here something is always counted.
        form = plural.one if count == 1 else plural.other
        return form.format(count=self.number(Decimal(count)), **more)


def _rounded(amount: Decimal, currency: str) -> Decimal:
    places = Decimal(1).scaleb(-get_currency_precision(currency))
    return amount.quantize(places, context=_EXACT)


def _spaced(figure: str) -> str:
    """Put a space that every font has for the narrow one that French groups digits by."""
    return figure.replace("\u202f", "\u00a0")
