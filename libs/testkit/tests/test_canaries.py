"""The search for secrets finds each form of each: else a test that relies on it would be blind."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest

from bailiwick_testkit.security.canaries import Canary, Hit, search

SECRET = 'ñu "7%+/\\=&<canary> of a kind'
WRITTEN: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "HTTP Basic": lambda one: base64.b64encode(f"client:{one}".encode()),
    "AUTH PLAIN": lambda one: base64.b64encode(f"\0u\0{one}".encode()),
    "AUTH LOGIN": lambda one: base64.b64encode(one.encode()),
    "with more behind": lambda one: base64.urlsafe_b64encode(f"ab{one}, and on".encode()),
    "hexadecimal": lambda one: one.encode().hex().encode(),
    "bytea": lambda one: rb"\x" + one.encode().hex().upper().encode(),
    "an address": lambda one: f"amqp://u:{quote(one, safe='')}@h/".encode(),
    "a path": lambda one: quote(one).encode(),
    "a form": lambda one: urlencode({"password": one}).encode(),
    "a query": lambda one: f"?a={quote_plus(one)}&b=".encode(),
    "JSON": lambda one: json.dumps({"password": one}).encode(),
    "JSON in UTF-8": lambda one: json.dumps({"password": one}, ensure_ascii=False).encode(),
    "a log line": lambda one: json.dumps({"event": json.dumps({"password": one})}).encode(),
    "Python": lambda one: repr({"password": one}).encode(),
    "HTML": lambda one: html.escape(one).encode(),
    "its beginning": lambda one: one[: len(one) // 2 + 2].encode(),
    "its end": lambda one: one[-len(one) // 2 - 1 :].encode(),
    "among bytes": lambda one: b"\0\xff\n" + one.encode() + b"\0",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_secret_is_found_however_it_is_written(tmp_path: Path, written: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.log").write_bytes(b"before " + WRITTEN[written](SECRET) + b" behind")
    hits = search(tmp_path, [Canary("password", SECRET), Canary("another", "not to be found")])
    assert {(hit.kind, hit.place) for hit in hits} == {("password", "a/b.log")}


@pytest.mark.parametrize("secret", [b"\0\xff\n" + bytes(range(30)), bytes(range(11, 40))])
def test_a_secret_of_bytes_is_found_in_a_key_file_and_in_a_dump(
    tmp_path: Path, secret: bytes
) -> None:
    key = Canary("key", secret)
    for written in (
        base64.b64encode(b"0w\2\1\1\4 " + secret + b"0"),
        b"\\x00" + secret.hex().encode(),
    ):
        (tmp_path / "a").write_bytes(written)
        assert [hit.kind for hit in search(tmp_path, [key])] == ["key"]
    (tmp_path / "a").write_bytes(secret[:2] + b"\n" + secret[4:])
    assert search(tmp_path, [key]) == []


def test_what_is_not_there_is_not_found_and_only_named_files_are_searched(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("nothing of the kind")
    (tmp_path / "b").write_text(SECRET)
    assert search(tmp_path, [Canary("password", SECRET)], ["a"]) == []
    assert search(tmp_path, [Canary("password", SECRET)]) == [Hit("password", "in clear", "b")]


def test_what_is_told_of_a_find_does_not_show_the_secret(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(SECRET)
    canary = Canary("password", SECRET)
    assert "canary>" not in repr([canary, search(tmp_path, [canary])])


def test_where_there_is_nothing_to_search_nothing_was_searched(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nothing to search"):
        search(tmp_path, [Canary("password", SECRET)], ["logs"])
