"""The gateway before dummy services: what gets through, what does not, and in which words."""

from __future__ import annotations

import http.client
import json
import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from bailiwick_gateway import files as gateway_files
from bailiwick_gateway.routes import ROUTES
from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import Process
from bailiwick_launcher.servers import gateway, install, probes
from bailiwick_launcher.services import SERVICES
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.waiting import wait_until


class _Echo(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        seen = {
            "service": getattr(self.server, "service", ""),
            "path": self.path,
            "method": self.command,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "length": len(self.rfile.read(length)),
        }
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - so the library has it

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Gateway:
    port: int
    log: Path

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, told, response.read())
        connection.close()
        return answer

    def send(self, raw: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(raw)
            return connection.recv(65536)


@pytest.fixture(scope="module")
def running(servers: Servers) -> Iterator[Gateway]:
    install.ensure(["gateway"], lambda _: None)
    upstreams: dict[str, ThreadingHTTPServer] = {}
    for service in ("identity", "customers"):  # the others are down
        upstream = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
        upstream.service = service  # type: ignore[attr-defined]
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        upstreams[service] = upstream
    with servers.private() as mine:
        places: DataFolder = mine.places
        ports = {name: upstream.server_port for name, upstream in upstreams.items()}
        nobody = dict.fromkeys(SERVICES, places.kept.port("nobody"))
        server = gateway.native(places, nobody | ports)
        server.start()
        log = mine.places.folder("logs") / "gateway.log"
        yield Gateway(int(server.url.rpartition(":")[2]), log)
    for upstream in upstreams.values():
        upstream.shutdown()
        upstream.server_close()


def assert_is_problem(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["type"] == f"urn:bailiwick:problem:{code}"
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert answer.json["detail"]


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.service in {"identity", "customers"}], ids=lambda r: r.path
)
def test_listed_path_reaches_its_service_unchanged(running: Gateway, route: object) -> None:
    assert isinstance(route, type(ROUTES[0]))
    path = f"{route.path}token" if route.path.endswith("/") else route.path
    answer = running.ask(f"{path}?q=a%2Fb%20%2e")
    assert answer.status == 200
    assert answer.json["service"] == route.service
    assert answer.json["path"] == f"{path}?q=a%2Fb%20%2e"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/auth",
        "/v1/auth/",
        "/v1/customersX",
        "/v1/customers.json",
        "/v1/customers/../../internal/v1/changes",
        "/v1/customers/..%2f..%2finternal/v1/changes",
        "/v1/customers/%2e%2e/%2e%2e/internal/v1/changes",
        "/internal/v1/changes/../../../v1/customers",
        "/internal/v1/changes",
        "//v1/customers",
        "/v1//customers",
        "/V1/customers",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/live",
        "/ready",
        "/.well-known/jwks.json/x",
        "/.well-known/other",
        "/.problem/missing",
        "/v1/customers%0a",
        "/v1/customers%0A",
        "/v1/customers%0d",
        "/v1/customers/%0a",
        "/v1/customers/count%0a",
        "/v1/customers/count%7f",
        "/v1/auth/token%0a",
        "/.well-known/jwks.json%0a",
        "/docs/%0a",
        "/docs/openapi/orders.json%0a",
    ],
)
def test_path_that_is_not_listed_is_not_found(running: Gateway, path: str) -> None:
    answer = running.ask(path)
    if path == "/v1/auth/":  # below it is the service's business, the folder itself too
        assert answer.json["service"] == "identity"
    else:
        assert_is_problem(answer, 404, "not-found")


def test_a_path_with_a_null_byte_is_no_http(running: Gateway) -> None:
    assert_is_problem(running.ask("/v1/customers%00"), 400, "malformed")


def test_only_known_headers_are_forwarded(running: Gateway) -> None:
    sent = {
        "Authorization": "Bearer t",
        "Idempotency-Key": "k",
        "If-Match": '"v1"',
        "Bailiwick-After": "orders:x:1",
        "traceparent": "00-x",
        "X-User-Id": "mia",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil",
        "X-Real-IP": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "X-HTTP-Method-Override": "DELETE",
        "Host": "evil.example",
    }
    seen = running.ask("/v1/customers", headers=sent).json["headers"]
    assert isinstance(seen, dict)
    assert seen.keys() == {
        *("host", "connection", "x-forwarded-for", "x-forwarded-proto"),
        *("authorization", "idempotency-key", "if-match", "bailiwick-after", "traceparent"),
    }
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["host"] == f"127.0.0.1:{running.port}"


def test_body_of_a_mebibyte_passes_and_a_larger_one_does_not(running: Gateway) -> None:
    mebibyte = 1024 * 1024
    assert running.ask("/v1/customers", "POST", b"x" * mebibyte).json["length"] == mebibyte
    answer = running.ask("/v1/customers", "POST", b"x" * (mebibyte + 1))
    assert_is_problem(answer, 413, "body-too-large")


def test_service_that_is_down_is_unavailable_for_a_second(running: Gateway) -> None:
    answer = running.ask("/v1/orders", "POST", b"{}")
    assert_is_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"


def test_address_that_is_too_long_is_told_so(running: Gateway) -> None:
    assert_is_problem(running.ask("/v1/customers?q=" + "x" * 20_000), 414, "address-too-long")


def test_headers_that_are_too_large_are_malformed(running: Gateway) -> None:
    answer = running.ask("/v1/customers", headers={"Authorization": "x" * 20_000})
    assert_is_problem(answer, 400, "malformed")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/customers HTTP/1.1\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["no request", "no host", "bad escape"],
)
def test_request_that_is_not_http_is_malformed(running: Gateway, raw: bytes) -> None:
    answer = running.send(raw)
    assert b'"code": "malformed"' in answer
    assert b"application/problem+json" in answer
    assert re.match(rb"HTTP/1.1 400 ", answer)


ANSWERS_OF_NGINX = {
    501: b"POST /v1/customers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    505: b"GET /v1/customers HTTP/2.0\r\nHost: a\r\n\r\n",
    416: b"GET /docs/asyncapi.json HTTP/1.1\r\nHost: a\r\nRange: bytes=999999999-\r\n\r\n",
    412: b'GET /docs/asyncapi.json HTTP/1.1\r\nHost: a\r\nIf-Match: "x"\r\n\r\n',
    405: b"POST /docs/asyncapi.json HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    404: b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
    400: b"GET /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    413: b"POST /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
}


@pytest.mark.parametrize("status", ANSWERS_OF_NGINX)
def test_what_nginx_itself_answers_is_a_problem_document(running: Gateway, status: int) -> None:
    head, _, body = running.send(ANSWERS_OF_NGINX[status]).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    document = json.loads(body)
    assert document["status"] == status
    assert document["type"] == f"urn:bailiwick:problem:{document['code']}"
    assert document["detail"]


def test_no_error_of_nginx_is_left_to_its_own_page() -> None:
    # All that src/http/ngx_http_special_response.c (1.28) has a page for, but what no directive of ours leads
    # to: 401 (auth_basic), 402, 406, 409, 410, 415 and 429 (return, dav, limit_req).
    own = {400, 403, 404, 405, 408, 411, 412, 413, 414, 416, 421, 494, 495, 496, 497}
    own |= {500, 501, 502, 503, 504, 505, 507}
    told = re.findall(r"error_page ([\d ]+) = ", gateway_files.configuration())
    assert {int(status) for line in told for status in line.split()} == own


def test_trace_is_refused(running: Gateway) -> None:
    assert_is_problem(running.ask("/v1/customers", "TRACE"), 405, "method-not-allowed")


def test_answers_do_not_tell_versions(running: Gateway) -> None:
    for path in ("/v1/customers", "/nowhere"):
        assert running.ask(path).headers["server"] == "nginx"


def test_problem_documents_have_no_character_that_nginx_reads() -> None:
    for document in re.findall(r"return \d+ '(.*)';", gateway_files.configuration()):
        assert "$" not in document
        assert json.loads(document)["status"]


def test_an_answer_that_failed_is_logged_without_what_was_asked(running: Gateway) -> None:
    # nginx's own words about it show the whole address, and the search in it (S22).
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"Traceparent": f"00-{trace}-00f067aa0ba902b7-01", "Authorization": "Bearer Ana-token"}
    before = len(running.log.read_text().splitlines())
    running.ask("/v1/customers?text=Ana", headers=sent)
    running.ask("/v1/orders?text=Ana", headers={**sent, "Traceparent": 'x"Ana'})
    failed = running.ask("/v1/orders?text=Ana", headers=sent)
    assert_is_problem(failed, 503, "unavailable")
    wait_until(lambda: trace in running.log.read_text(), "it is logged")
    text = running.log.read_text()
    assert "Ana" not in text
    unnamed, named = (json.loads(line) for line in text.splitlines()[before:])
    assert (unnamed["trace_id"], named["trace_id"]) == ("", trace)
    assert (named["service"], named["method"], named["status"]) == ("gateway", "GET", 503)
    assert named["upstream_status"] == "502"
    assert named["seconds"] >= 0


def test_connections_are_kept_longer_than_balancers_in_front_keep_theirs() -> None:
    # Else one may send a request on a connection that is closed that moment: AWS's keeps them for 60
    # seconds unless told otherwise, Google's for 600 in any case.
    (kept,) = re.findall(r"\bkeepalive_timeout (\d+)s;", gateway_files.configuration())
    assert int(kept) > 600


# Where it runs: what `start` makes of its environment.


def started(places: DataFolder, **told: str) -> tuple[Process, Gateway]:
    """Start one whose services are all at a port where nobody is, but for what is told."""
    port, folder = places.kept.port("told"), places.folder("gateway")
    gateway._write(places, gateway_files.files())
    environment = {
        "NGINX": str(install.nginx()),
        "TMPDIR": str(folder),
        "BAILIWICK_LISTEN": f"127.0.0.1:{port}",
        "BAILIWICK_ISSUER": "https://shop.example/",
        **{f"BAILIWICK_{name.upper()}_UPSTREAM": "127.0.0.1:1" for name in SERVICES},
        **told,
    }
    process = Process("told", places, ("/bin/sh", str(folder / "start")), environment)
    process.start()
    return process, Gateway(port, process.log_file)


@pytest.fixture
def places(servers: Servers) -> Iterator[DataFolder]:
    install.ensure(["gateway"], lambda _: None)
    with servers.private() as mine:
        yield mine.places


@pytest.fixture
def echo() -> Iterator[str]:
    with answering("127.0.0.1", 0) as upstream:
        yield f"127.0.0.1:{upstream.server_port}"


@contextmanager
def answering(host: str, port: int) -> Iterator[ThreadingHTTPServer]:
    upstream = ThreadingHTTPServer((host, port), _Echo)
    upstream.service = host  # type: ignore[attr-defined]
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    yield upstream
    upstream.shutdown()
    upstream.server_close()


def headers_seen(running: Gateway, **sent: str) -> dict[str, str]:
    sent = {name.replace("_", "-"): value for name, value in sent.items()}
    seen = running.ask("/v1/customers", headers=sent).json["headers"]
    assert isinstance(seen, dict)
    return seen


def test_services_are_asked_by_the_address_that_clients_have(places: DataFolder, echo: str) -> None:
    process, running = started(places, BAILIWICK_CUSTOMERS_UPSTREAM=echo)
    wait_until(
        lambda: probes.http_status(f"http://127.0.0.1:{running.port}", "/") == 404, "it is up"
    )
    seen = headers_seen(running)
    assert (seen["host"], seen["x-forwarded-proto"]) == ("shop.example", "https")
    process.stop()


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [("", "127.0.0.1"), ("10.0.0.0/8", "127.0.0.1"), ("10.0.0.0/8 127.0.0.1", "192.0.2.7")],
)
def test_where_a_request_comes_from_is_said_by_trusted_proxies_alone(
    places: DataFolder, echo: str, trusted: str, seen: str
) -> None:
    told = {"BAILIWICK_CUSTOMERS_UPSTREAM": echo, "BAILIWICK_TRUSTED_PROXIES": trusted}
    process, running = started(places, **told)
    wait_until(
        lambda: probes.http_status(f"http://127.0.0.1:{running.port}", "/") == 404, "it is up"
    )
    # What the client itself made up stands first, what the last proxy saw stands last.
    forwarded = "198.51.100.1, 192.0.2.7, 10.1.2.3"
    assert headers_seen(running, X_Forwarded_For=forwarded)["x-forwarded-for"] == seen
    process.stop()


def test_nginx_is_not_told_where_it_is(places: DataFolder) -> None:
    # It takes a variable NGINX for sockets that it has inherited from another nginx.
    process, running = started(places)
    wait_until(
        lambda: probes.http_status(f"http://127.0.0.1:{running.port}", "/") == 404, "it is up"
    )
    assert "inherited sockets" not in process.log()
    process.stop()


class _Names(socketserver.BaseRequestHandler):
    """A name server with one answer (RFC 1035): the address that its server has at the moment."""

    @override
    def handle(self) -> None:
        asked, answer_to = self.request
        question = asked[12 : asked.index(b"\0", 12) + 5]
        is_v4 = question[-4:-2] == b"\0\1"
        head = asked[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_v4 else b"\0\0") + b"\0\0\0\0"
        address: str = self.server.address  # type: ignore[attr-defined]
        record = b"\xc0\x0c\0\1\0\1" + (600).to_bytes(4) + b"\0\4" + socket.inet_aton(address)
        answer_to.sendto(head + question + (record if is_v4 else b""), self.client_address)


def test_service_that_comes_back_at_another_address_is_found(places: DataFolder) -> None:
    with (
        answering("127.0.0.1", 0) as former,
        answering("127.0.0.2", former.server_port),
        socketserver.UDPServer(("127.0.0.1", 0), _Names) as names,
    ):
        names.address = "127.0.0.1"  # type: ignore[attr-defined]
        threading.Thread(target=names.serve_forever, daemon=True).start()
        process, running = started(
            places,
            BAILIWICK_CUSTOMERS_UPSTREAM=f"customers.test:{former.server_port}",
            BAILIWICK_RESOLVER=f"127.0.0.1:{names.server_address[1]}",
        )

        def answers_from(address: str) -> bool:
            answer = running.ask("/v1/customers")
            return answer.status == 200 and answer.json["service"] == address

        wait_until(
            lambda: probes.http_status(f"http://127.0.0.1:{running.port}", "/") == 404, "it is up"
        )
        assert answers_from("127.0.0.1")
        names.address = "127.0.0.2"  # type: ignore[attr-defined]
        wait_until(lambda: answers_from("127.0.0.2"), "the name is looked up again")
        process.stop()
        names.shutdown()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BAILIWICK_ISSUER", ""),
        ("BAILIWICK_ISSUER", "ftp://shop.example"),
        ("BAILIWICK_ISSUER", "https://shop.example;}"),
        ("BAILIWICK_LISTEN", "127.0.0.1:80 ssl"),
        ("BAILIWICK_ORDERS_UPSTREAM", ""),
        ("BAILIWICK_ORDERS_UPSTREAM", "orders:1|g"),
        ("BAILIWICK_ORDERS_UPSTREAM", 'orders:1"'),
        ("BAILIWICK_TRUSTED_PROXIES", "10.0.0.0/8; deny all"),
    ],
)
def test_address_that_is_none_is_refused_by_name(places: DataFolder, name: str, value: str) -> None:
    process, _ = started(places, **{name: value})
    wait_until(lambda: not process.is_running(), "it ends")
    assert name in process.log()
    assert value not in process.log() or not value
