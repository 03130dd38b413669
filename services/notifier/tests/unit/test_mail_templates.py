"""Letters: what they say, in three languages, and what they never let through (S18)."""

from __future__ import annotations

import dataclasses
import re
import string
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from typing_extensions import override

from bailiwick_notifier import mail_templates
from bailiwick_notifier.domain.letter import Addressee, Letter
from bailiwick_notifier.domain.order import Line, NewOrder
from bailiwick_notifier.mail.message import envelope
from bailiwick_notifier.mail.sending import Mail
from bailiwick_notifier.mail_templates.writer import LANGUAGES

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {customer} %s",
    "Two\r\nBcc: x@evil.example",
    "Sep\u2028arated\u2029",
    "turned \u202e around \u2066",
    "=?utf-8?q?=0D=0A?=",
    "& Sons’ «Ltd.» 🦊",
]
SOURCES = ["portal", "visit", "phone", "whatsapp", "import", "other", "carrier-pigeon"]


def a_line(number: int = 1, **changes: Any) -> Line:
    line = Line(
        sku=f"TEA-{number:02}",
        name="Black tea",
        quantity=Decimal("12.0000"),
        unit_price=Decimal("8.5000"),
        discount=Decimal("0.1000"),
        net=Decimal("91.8000"),
    )
    return dataclasses.replace(line, **changes)


def an_order(**changes: Any) -> NewOrder:
    order = NewOrder(
        order_id=UUID(int=7),
        number="K7RTX2PD",
        customer_name="Café Olé",
        placed_at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC),
        source="phone",
        placed_by_name="Mia López",
        lines=(a_line(),),
        net=Decimal("95.4000"),
        currency="EUR",
        note=None,
    )
    return dataclasses.replace(order, **changes)


def written(*orders: NewOrder, language: str = "en", digest: bool = False, **more: Any) -> Letter:
    addressee = Addressee(
        name="Ana",
        language=language,
        time_zone="Europe/Madrid",
        organization_name="Alameda",
        public_url="https://app.bailiwick.example/",
    )
    addressee = dataclasses.replace(addressee, **more)
    if digest:
        return mail_templates.digest(orders, addressee)
    return mail_templates.new_order(orders[0], addressee)


class _Reader(HTMLParser):
    """Collects what a person sees, and the tags and attributes that bring it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._silent = 0
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent += tag in {"style", "title"}

    @override
    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"style", "title"}

    @override
    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.seen.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.seen).split())


def figures(text: str) -> set[str]:
    """Return every amount, each once: `95,40 €`, `€95.40`."""
    return set(re.findall(r"[€£$]?\d[\d.,\u00a0]*\d(?:\u00a0[€%])?", text))


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("en", "New order K7RTX2PD from Café Olé: €95.40"),
        ("es", "Nuevo pedido K7RTX2PD de Café Olé: 95,40\u00a0€"),
        ("fr", "Nouvelle commande K7RTX2PD – Café Olé\u00a0: 95,40\u00a0€"),
        ("de", "New order K7RTX2PD from Café Olé: €95.40"),
        ("es-MX", "Nuevo pedido K7RTX2PD de Café Olé: 95,40\u00a0€"),
    ],
)
def test_subject_says_who_and_how_much(language: str, subject: str) -> None:
    letter = written(an_order(), language=language)
    assert letter.subject.split() == subject.split()


def test_text_part_reads_by_itself() -> None:
    order = an_order(
        note="Back feed.\nRing twice.", lines=(a_line(), a_line(2, discount=Decimal(0)))
    )
    assert written(order).text.replace("\u00a0", " ") == (
        "Hello Ana, a new order has come in.\n"
        "\n"
        "New order: Café Olé\n"
        "Total: €95.40\n"
        "\n"
        "Order: K7RTX2PD\n"
        "Placed: Friday, 16 January 2026, 00:30 CET\n"
        "By: Mia López\n"
        "Via: Phone\n"
        "\n"
        "Note:\n"
        "> Back feed.\n"
        "> Ring twice.\n"
        "\n"
        "2 lines\n"
        "\n"
        "* Black tea\n"
        "  TEA-01 · 12 × €8.50 · 10% off\n"
        "  €91.80\n"
        "* Black tea\n"
        "  TEA-02 · 12 × €8.50\n"
        "  €91.80\n"
        "\n"
        "Open the order: https://app.bailiwick.example/orders/00000000-0000-0000-0000-000000000007\n"
        "\n"
        "-- \n"
        "Alameda\n"
        "You get this email because you receive notifications of new orders at Alameda. "
        "You can change that in your notification preferences.\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("digest", [False, True])
def test_both_parts_carry_the_same_figures(language: str, digest: bool) -> None:
    orders = [
        an_order(
            lines=tuple(a_line(n, net=Decimal(n) * 1000 + Decimal("0.555")) for n in range(1, 30)),
            net=Decimal("435016.095"),
        ),
        an_order(currency="GBP", net=Decimal("12.345")),
    ]
    letter = written(*orders, language=language, digest=digest, public_url=None)
    in_html = _Reader(letter.html).text
    assert figures(" ".join(letter.text.split())) == figures(in_html)
    assert len(figures(in_html)) > 2
    assert set(re.findall(r"\w+", letter.text)) <= set(re.findall(r"\w+", in_html))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("95.4050", "EUR", "€95.41"),  # half up, not to even
        ("95.4049", "EUR", "€95.40"),
        ("1234567.8900", "EUR", "€1,234,567.89"),
        ("1200.5000", "JPY", "JP¥1,201"),
        ("1.2345", "KWD", "KWD1.235"),
        ("0", "EUR", "€0.00"),
        ("99999999999999.9999", "EUR", "€100,000,000,000,000.00"),
    ],
)
def test_amount_is_rounded_once_to_what_its_currency_has(
    amount: str, currency: str, shown: str
) -> None:
    letter = written(an_order(net=Decimal(amount), currency=currency))
    assert f"Total: {shown}\n" in letter.text
    assert letter.subject.endswith(shown)


def test_price_shows_the_decimals_that_it_has() -> None:
    order = an_order(lines=(a_line(unit_price=Decimal("0.1234"), quantity=Decimal("1000.5000")),))
    assert "1,000.5 × €0.1234" in written(order).text.replace("\u00a0", " ")


def test_sums_of_a_digest_are_exact_per_currency_and_of_all_orders() -> None:
    orders = [an_order(net=Decimal("0.0049"), order_id=UUID(int=n)) for n in range(25)]
    letter = written(*orders, an_order(net=Decimal("7.5"), currency="GBP"), digest=True)
    assert (
        letter.subject == "26 new orders: €0.12 and £7.50"
    )  # 25 times 0.0049, not 25 times nothing
    assert letter.text.count("* ") == 20
    assert "and 6 more orders" in letter.text


@pytest.mark.parametrize(
    ("language", "said", "one", "two"),
    [
        ("en", "cancelled", "1 cancelled", "2 cancelled"),
        ("es", "cancelado", "1 cancelado", "2 cancelados"),
        ("fr", "annulée", "1 annulée", "2 annulées"),
    ],
)
def test_what_was_cancelled_is_said_and_not_summed(
    language: str, said: str, one: str, two: str
) -> None:
    gone, there = an_order(is_cancelled=True), an_order(net=Decimal(7))
    alone = written(gone, language=language)
    assert alone.subject.endswith(said)
    for part in (alone.text, _Reader(alone.html).text):
        assert "95" not in part
    mixed = written(gone, there, language=language, digest=True)
    assert mixed.subject.endswith(one)
    assert "7" in mixed.subject
    for part in (mixed.text, _Reader(mixed.html).text):
        assert "102" not in part
        assert part.count(said) >= len(["the total", "the order"])
    assert written(gone, gone, language=language, digest=True).subject.endswith(two)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "and 1 more line"), ("es", "y 1 línea más"), ("fr", "et 1 autre ligne")],
)
def test_no_more_than_twenty_lines_are_shown(language: str, said: str) -> None:
    letter = written(an_order(lines=tuple(a_line(n) for n in range(1, 22))), language=language)
    for part in (letter.text, letter.html):
        assert "TEA-20" in part
        assert "TEA-21" not in part
        assert said in part


def test_digest_over_two_days_names_them_the_latest_first() -> None:
    early = an_order(number="EARLY", placed_at=datetime(2026, 1, 14, 8, tzinfo=UTC))
    letter = written(early, an_order(number="LATER"), digest=True)
    text = letter.text.replace("\u00a0", " ")
    assert "14 Jan – 16 Jan: 2 new orders" in text
    assert text.index("LATER · 16 Jan, 00:30") < text.index("EARLY · 14 Jan, 09:00")


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("digest", [False, True])
def test_what_people_wrote_is_text_and_nothing_else(nasty: str, digest: bool) -> None:
    line = a_line(name=nasty, sku=nasty)
    order = an_order(
        customer_name=nasty, placed_by_name=nasty, note=nasty, lines=(line,), number=nasty
    )
    letter = written(order, name=nasty, organization_name=nasty, digest=digest)
    plain = written(an_order(note="x"), digest=digest)
    tags = [tag for tag, _ in _Reader(letter.html).tags if tag != "br"]
    assert tags == [tag for tag, _ in _Reader(plain.html).tags if tag != "br"]
    shown = " ".join("".join(c if c.isprintable() or c == "🦊" else " " for c in nasty).split())
    assert shown in _Reader(letter.html).text
    for text in (letter.subject, *letter.text.split("\n")):
        assert not {unicodedata.category(character) for character in text} & {"Cc", "Zl", "Zp"}
    assert not {"\u202e", "\u2066"} & set(letter.subject + letter.text + letter.html)


@pytest.mark.parametrize("nasty", [*NASTY, "long " * 60, "x" * 200])
def test_subject_is_safe_in_a_header_and_short(nasty: str) -> None:
    letter = written(an_order(customer_name=nasty))
    assert len(letter.subject) < 100
    assert letter.subject.endswith("€95.40")
    mail = Mail("<a@b.example>", "o@b.example", "a@b.example", "Ana", letter.subject, "", "")
    envelope(mail, datetime(2026, 1, 15, tzinfo=UTC))  # refuses what is unsafe


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("digest", [False, True])
def test_html_loads_nothing_and_tells_nobody_that_it_was_read(language: str, digest: bool) -> None:
    letter = written(an_order(), language=language, digest=digest)
    tags = _Reader(letter.html).tags
    assert not {"img", "script", "link", "iframe", "form", "video"} & {tag for tag, _ in tags}
    links = {str(attributes["href"]) for _, attributes in tags if "href" in attributes}
    assert links == {f"https://app.bailiwick.example/orders/{UUID(int=7)}"}
    assert not re.search(r"url\(|@import|src=|background=", letter.html)
    assert "prefers-color-scheme: dark" in letter.html
    assert dict(tags)["html"]["lang"] == language
    assert max(map(len, letter.html.split("\n"))) < 2000


def test_without_an_address_to_open_it_at_there_is_no_link() -> None:
    for digest in (False, True):
        letter = written(an_order(), public_url=None, digest=digest)
        assert "href" not in letter.html
        assert "http" not in letter.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_a_word(language: str, source: str) -> None:
    words = LANGUAGES[language]
    letter = written(an_order(source=source), language=language)
    assert words.sources.get(source, words.sources["other"]) in letter.text


def test_nameless_people_leave_no_gap() -> None:
    letter = written(an_order(placed_by_name=None, customer_name=""), name=None)
    assert letter.subject == "New order K7RTX2PD from K7RTX2PD: €95.40"
    assert letter.text.startswith("Hello, a new order has come in.")
    assert "By:" not in letter.text


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("America/Sao_Paulo", "20:30 UTC-03"), ("UTC", "23:30 UTC"), ("Europe/London", "23:30 GMT")],
)
def test_time_is_the_organizations(zone: str, shown: str) -> None:
    assert shown in written(an_order(), time_zone=zone).text.replace("\u00a0", " ")


def _sentences(language: str) -> Iterator[tuple[str, str]]:
    for name, value in dataclasses.asdict(LANGUAGES[language]).items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", sentence) for key, sentence in value.items())
        else:
            yield name, value


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_every_language_has_the_same_sentences_with_the_same_blanks(language: str) -> None:
    assert dict(_sentences(language)).keys() == dict(_sentences("en")).keys()
    for (name, theirs), (_, ours) in zip(_sentences(language), _sentences("en"), strict=True):
        assert theirs.strip(), name
        assert _blanks(theirs) == _blanks(ours), name
    assert LANGUAGES[language].language == language


def _blanks(sentence: str) -> set[str]:
    return {blank for _, blank, _, _ in string.Formatter().parse(sentence) if blank}
