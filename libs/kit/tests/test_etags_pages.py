"""Versions over HTTP, and pages whose cursors cannot be altered, swapped or made up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.errors import Invalid, PreconditionRequired, Stale
from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.bodies import SentQuery
from bailiwick_kit.web.etags import Expected, etag, is_held, shown
from bailiwick_kit.web.pages import CursorInvalid, Cursors, Key, PageQuery

ANA, BRUNO = UUID(int=1), UUID(int=2)
CURSORS = Cursors("a secret of the service")


class OrderQuery(PageQuery):
    state: Text | None = None
    text: Text | None = None


def sent(path: str = "/v1/orders", **values: str) -> SentQuery[OrderQuery]:
    return SentQuery.of(OrderQuery, path, **values)


def rows(count: int) -> list[Key]:
    start = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    return [Key(start - timedelta(seconds=n), uuid4()) for n in range(count)]


def first_cursor(query: SentQuery[OrderQuery], listed: list[Key] | None = None) -> str:
    cursor = CURSORS.slice(query, ANA, listed or rows(2), itself, most=1).next_cursor
    assert cursor is not None
    return cursor


def itself(row: Key) -> Key:
    return row


def test_the_version_that_was_read_may_be_changed() -> None:
    Expected('"v3"').check(3)
    Expected(' "v2" , "v3"').check(3)
    Expected("*").check(3)
    Expected(shown(etag(3), b"what Ana is shown")).check(3)
    Expected(shown(etag(3), b"what Bruno is shown")).check(3)
    assert etag(3) == '"v3"'


@pytest.mark.parametrize("header", [None, "", "  "])
def test_no_version_is_428(header: str | None) -> None:
    with pytest.raises(PreconditionRequired):
        Expected(header).check(3)


@pytest.mark.parametrize(
    "header",
    [
        *(
            '"v2"',
            'W/"v3"',
            "v3",
            '"3"',
            "garbage",
            '"v03"',
            "*, x",
            '"v3',
            "\x00",
            ",",
            '"v33"',
            "é",
        ),
        *('"v2-AAAAAAAAAAAAAAAA"', '"v3-"', '"v3-short"', '"v3-AAAAAAAAAAAAAAA/"', '"v-A"'),
    ],
)
def test_another_version_or_garbage_is_412(header: str | None) -> None:
    with pytest.raises(Stale) as refused:
        Expected(header).check(3)
    assert refused.value.etag == '"v3"'


def test_what_is_held_is_compared_whole_and_weakly_but_not_by_star() -> None:
    tag = shown(etag(3), b"{}")
    assert is_held(tag, tag)
    assert is_held(f'"v1", W/{tag}', tag)
    for header in ("", '"v3"', "*", tag.strip('"'), shown(etag(3), b"{ }"), shown(etag(2), b"{}")):
        assert not is_held(header, tag)


def test_pages_follow_one_another_to_the_end() -> None:
    everything = rows(5)
    query = sent(limit="2", state="draft")
    page = CURSORS.slice(query, ANA, everything[:3], itself, most=2)
    assert list(page.rows) == everything[:2]
    assert page.next_cursor is not None
    assert page.link == (f'</v1/orders?limit=2&state=draft&cursor={page.next_cursor}>; rel="next"')
    following = sent(limit="2", state="draft", cursor=page.next_cursor)
    assert CURSORS.after(following, ANA) == everything[1]
    last = CURSORS.slice(following, ANA, everything[3:], itself, most=2)
    assert (last.next_cursor, last.link) == (None, None)
    assert CURSORS.after(query, ANA) is None


def test_the_limit_may_change_between_pages_and_other_instances_share_the_secret() -> None:
    cursor = first_cursor(sent(limit="1"))
    other = Cursors("a secret of the service")
    assert other.after(sent(limit="9", cursor=cursor), ANA) is not None


def test_any_instant_survives_exactly() -> None:
    for instant in (END_OF_TIME, datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 7, 20, tzinfo=UTC)):
        key = Key(instant, uuid4())
        cursor = first_cursor(sent(limit="1"), [key, key])
        assert CURSORS.after(sent(cursor=cursor), ANA) == key


def test_a_cursor_belongs_to_one_member_path_and_set_of_filters() -> None:
    cursor = first_cursor(sent(limit="1", state="draft"))
    assert CURSORS.after(sent(cursor=cursor, state="draft"), ANA)
    foreign = [
        (sent(cursor=cursor, state="draft"), BRUNO),
        (sent(cursor=cursor, state="placed"), ANA),
        (sent(cursor=cursor), ANA),
        (sent(cursor=cursor, state="draft", text="x"), ANA),
        (sent("/v1/customers", cursor=cursor, state="draft"), ANA),
    ]
    for query, member in foreign:
        with pytest.raises(CursorInvalid) as refused:
            CURSORS.after(query, member)
        assert refused.value.code == "cursor-invalid"
    with pytest.raises(CursorInvalid):
        Cursors("another").after(sent(cursor=cursor, state="draft"), ANA)


def test_no_altered_cursor_is_taken() -> None:
    cursor = first_cursor(sent(limit="1"))
    for index in range(len(cursor) - 1):  # the last character may hold unused bits
        other = "A" if cursor[index] != "A" else "B"
        with pytest.raises(CursorInvalid):
            CURSORS.after(sent(cursor=cursor[:index] + other + cursor[index + 1 :]), ANA)
    for garbage in ("", "x", cursor[:-2], cursor + "AA", "é" * 10, "=" * 40, "A" * 53, "\x00"):
        with pytest.raises(Invalid):
            CURSORS.after(sent(cursor=garbage), ANA)
