"""The handbook: what the gateway serves below /docs/, and that none of it asks for anything elsewhere."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from typing_extensions import override

from bailiwick_contracts.catalogue import EVENTS, SNAPSHOTS
from bailiwick_gateway import files as gateway_files
from bailiwick_gateway import handbook
from bailiwick_gateway.handbook.events import told_by
from bailiwick_gateway.routes import ROUTES
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.servers import gateway, install
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.servers.real import Servers

LEAVES = handbook.leaves()
PAGES = [leaf for leaf in LEAVES if leaf.path.endswith("/")]
AT = {leaf.path: leaf.content for leaf in LEAVES}
# Written so that a page with an address in it is a find, wherever it stands.
_REFERENCES = {"href", "src", "action", "formaction", "poster", "data", "srcset", "background"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Gateway:
    port: int

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=sent)
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, told, response.read())
        connection.close()
        return answer


@pytest.fixture(scope="module")
def running(servers: Servers) -> Iterator[Gateway]:
    """A gateway with no service behind it: the handbook needs none."""
    install.ensure(["gateway"], lambda _: None)
    with servers.private() as mine:
        nobody = mine.places.kept.port("nobody")
        server = gateway.native(mine.places, dict.fromkeys(SERVICES, nobody))
        server.start()
        yield Gateway(int(server.url.rpartition(":")[2]))


@dataclass
class _Page(HTMLParser):
    """What a page refers to, and what of it would run or be drawn without a file of its own."""

    references: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    inline: list[str] = field(default_factory=list)
    text: str = ""
    _within: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._within = tag
        self.references += [value for name, value in given.items() if name in _REFERENCES]
        self.ids |= {given["id"]} if "id" in given else set()
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(content: bytes) -> _Page:
    page = _Page()
    page.feed(content.decode())
    page.close()
    return page


def _is_elsewhere(reference: str) -> bool:
    parts = urlsplit(reference)
    return bool(parts.netloc or parts.scheme)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.path)
def test_leaf_is_served_as_what_it_is(running: Gateway, leaf: handbook.Leaf) -> None:
    answer = running.ask(leaf.path)
    assert (answer.status, answer.body) == (200, leaf.content)
    assert answer.headers["content-type"] == leaf.media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers or answer.headers["server"] == "nginx"


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.path)
def test_browser_is_told_to_take_nothing_from_elsewhere(
    running: Gateway, leaf: handbook.Leaf
) -> None:
    rules = running.ask(leaf.path).headers["content-security-policy"].split("; ")
    assert rules[0] == "default-src 'none'"
    sources = {source for rule in rules for source in rule.split()[1:]}
    assert sources == {"'none'", "'self'", "data:"}, "no host, nothing inline, no eval"
    [images] = [rule for rule in rules if "data:" in rule]
    assert images.startswith("img-src "), "a script or a style may not come as data:"
    assert "frame-ancestors 'none'" in rules


def test_what_changes_is_asked_for_again_and_the_rest_is_kept(running: Gateway) -> None:
    page = running.ask("/docs/")
    assert page.headers["cache-control"] == "no-cache"
    again = running.ask("/docs/", If_None_Match=page.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert "immutable" in running.ask("/docs/assets/swagger-ui.css").headers["cache-control"]


def test_assets_are_named_with_what_is_in_them() -> None:
    for leaf in PAGES:
        for reference in parsed(leaf.content).references:
            path, _, digest = reference.partition("?")
            if path.startswith("/docs/assets/"):
                assert digest == handbook._short(handbook.Leaf(path, AT[path])), reference


@pytest.mark.parametrize("leaf", PAGES, ids=lambda leaf: leaf.path)
def test_what_a_page_refers_to_is_there_and_here(running: Gateway, leaf: handbook.Leaf) -> None:
    page = parsed(leaf.content)
    assert page.references
    assert not [one for one in page.references if _is_elsewhere(one)]
    for reference in page.references:
        if reference.startswith("#"):
            assert reference.removeprefix("#") in page.ids, reference
        else:
            assert running.ask(urljoin(leaf.path, reference)).status == 200, reference


@pytest.mark.parametrize("leaf", PAGES, ids=lambda leaf: leaf.path)
def test_page_runs_and_draws_nothing_inline(leaf: handbook.Leaf) -> None:
    assert not parsed(leaf.content).inline


def test_styles_and_our_script_refer_to_no_other_host() -> None:
    for path, content in AT.items():
        if path.endswith(".css"):
            found = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]{0,80})", content.decode())
            assert all(one.startswith("data:") for one in found), path
    assert b"//" not in re.sub(
        rb"^\s*//.*$", b"", AT["/docs/assets/explorer.js"], flags=re.MULTILINE
    )


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link href="//cdn.example/a.css">',
        "<img src='http://cdn.example/a.png'>",
        "<object data=https://cdn.example/a.svg></object>",
    ],
)
def test_a_page_that_refers_to_another_host_is_found(planted: str) -> None:
    assert [one for one in parsed(planted.encode()).references if _is_elsewhere(one)]


@pytest.mark.parametrize("planted", ["<script>a()</script>", "<p onclick=a()>", "<p style='a: b'>"])
def test_what_is_inline_is_found(planted: str) -> None:
    assert parsed(planted.encode()).inline


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/docs/../",
        "/docs/..",
        "/docs/../docs/",
        "/docs/./",
        "/docs/x/../",
        "/docs//",
        "//docs/",
        "/docs/%2e%2e/",
        "/docs/%2e%2e%2fnginx.conf",
        "/docs/../nginx.conf",
        "/docs/..\\nginx.conf",
        "/docs/assets/..%5c..%5cnginx.conf",
        "/docs/assets",
        "/docs/assets/",
        "/docs/assets/../",
        "/docs/openapi",
        "/docs/openapi/",
        "/docs/openapi/nobody.json",
        "/docs/openapi/orders.json/",
        "/docs/openapi/orders.json/x",
        "/docs/api",
        "/docs/api/index.html",
        "/docs/index.html",
        "/docs/events",
        "/docs/asyncapi.json/",
        "/docs/asyncapi",
        "/docs/oauth2-redirect",
        "/DOCS/",
        "/handbook/docs/",
        "/nginx.conf",
    ],
)
def test_what_is_no_leaf_is_not_there(running: Gateway, path: str) -> None:
    answer = running.ask(path)
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    "path",
    ["/docs/../../nginx.conf", "/docs/..%2f..%2fnginx.conf", "/docs/assets/../../../kept.json"],
)
def test_a_path_that_leads_above_everything_is_malformed(running: Gateway, path: str) -> None:
    answer = running.ask(path)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "malformed")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_handbook_is_read_and_nothing_else(running: Gateway, method: str) -> None:
    for path in ("/docs/", "/docs/asyncapi.json"):
        answer = running.ask(path, method)
        assert (answer.status, json.loads(answer.body)["code"]) == (405, "method-not-allowed")


def test_leaves_are_in_the_way_of_no_service() -> None:
    assert not [leaf for leaf in LEAVES for route in ROUTES if re.match(route.pattern, leaf.path)]
    assert len({leaf.file for leaf in LEAVES}) == len(LEAVES)


# What is in it.


def test_documents_are_the_contracts() -> None:
    stored = {
        f"/docs/openapi/{path.name}": path.read_bytes()
        for path in (CHECKOUT / "contracts" / "openapi").glob("*.json")
    }
    stored["/docs/asyncapi.json"] = (CHECKOUT / "contracts" / "asyncapi.json").read_bytes()
    assert {path: content for path, content in AT.items() if path.endswith(".json")} == stored


def test_explorer_has_every_service_to_choose_from() -> None:
    page = AT["/docs/api/"].decode()
    chosen = set(re.findall(r'data-document="([^"]+)"', page))
    assert chosen == {path for path in AT if path.startswith("/docs/openapi/")}
    assert chosen == {f"/docs/openapi/{service}.json" for service in SERVICES}


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_page_of_events_tells_all_about_each(event_type: str) -> None:
    page = AT["/docs/events/"].decode()
    article = page.partition(f'<article id="{event_type}">')[2].partition("</article>")[0]
    text = parsed(article.encode()).text
    publisher = event_type.partition(".")[0]
    assert f"/{publisher}" in text
    assert " ".join(str(EVENTS[event_type].__doc__).split()) in text
    if event_type not in SNAPSHOTS:
        assert f"{event_type}.‹organization›" in text
    for name, one in EVENTS[event_type].model_fields.items():
        assert f"<code>{name}</code>" in article
        assert (one.description or "") in text
    samples = (CHECKOUT / "contracts" / "samples" / event_type).glob("*.json")
    assert article.count("<pre>") == len(list(samples))
    assert "ce-subject: " in text


def test_parts_of_parts_are_told_with_what_is_personal() -> None:
    document = json.loads(AT["/docs/asyncapi.json"])
    events = {event.type: event for one in told_by(document) for event in one.events}
    customer = {one.path: one for one in events["customers.customer.changed.v1"].members}
    assert customer["contacts[].email"].is_personal
    assert customer["contacts[].email"].kind == "string or null"
    assert not customer["addresses[].country"].is_personal
    assert customer["addresses[].country"].is_required
    assert customer["terms.discount"].words == "A fraction: 0.05 is five per cent."
    assert customer["status"].kind == "pending · approved · suspended"
    assert customer["tags"].kind == "list of string"
    assert not customer["tags"].is_required
    personal = {
        event.type: {m.path for m in event.members if m.is_personal} for event in events.values()
    }
    assert personal == {
        message["name"]: set(message["x-personal-data"])
        for message in document["components"]["messages"].values()
    }


def test_page_of_events_says_who_hears_them() -> None:
    document = json.loads(AT["/docs/asyncapi.json"])
    events = {event.type: event for one in told_by(document) for event in one.events}
    assert "notifier" in events["orders.order.placed.v1"].heard_by
    assert "notifier" not in events["orders.order.drafted.v1"].heard_by


def test_a_change_of_the_contracts_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = gateway_files.digest()
    monkeypatch.setattr(handbook, "leaves", lambda: (*LEAVES, handbook.Leaf("/docs/x.json", b"")))
    assert gateway_files.digest() != before


def test_without_the_explorers_files_it_is_said_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="fastapi-offline"):
        handbook._explorer()


def test_gateways_configuration_names_every_leaf_once() -> None:
    written = gateway_files.configuration()
    assert sorted(re.findall(r"location = (/docs/\S*) ", written)) == sorted(AT)
    assert "autoindex" not in written
