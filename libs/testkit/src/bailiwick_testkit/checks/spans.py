"""Spans for tests: kept in memory as they would be sent, or taken by a collector, which may be slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from typing_extensions import override

from bailiwick_kit.telemetry.tracing import Bare, recording

PATH = "/v1/traces"


@dataclass(frozen=True)
class Spanned:
    """A span as it was sent. Ids are hex; a root's `parent_id` is empty."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """The spans that it is linked to."""
    attributes: Mapping[str, Any]
    has_failed: bool
    words: tuple[str, ...]
    """What it says in free words: events, trace state, why it failed."""


@dataclass
class Spans:
    """All that was sent so far; `raw` is that as it came."""

    raw: list[bytes] = field(default_factory=list)

    def all(self, name: str = "", *, trace_id: str | None = None) -> list[Spanned]:
        """Return those whose name begins so, in the order in which they ended; of a trace, or of all."""
        sent = [ExportTraceServiceRequest.FromString(body) for body in [*self.raw]]
        found = [
            _spanned(_plain(of.resource.attributes)["service.name"], span)
            for request in sent
            for of in request.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]
        return [
            span
            for span in found
            if span.name.startswith(name) and trace_id in {None, span.trace_id}
        ]

    def one(self, name: str, *, trace_id: str | None = None) -> Spanned:
        """Return the only one whose name begins so.

        Raises:
            AssertionError: there are none, or several.
        """
        found = self.all(name, trace_id=trace_id)
        here = [span.name for span in self.all(trace_id=trace_id)]
        assert len(found) == 1, f"{len(found)} of {name!r} among {here}"  # noqa: S101
        return found[0]

    def shown(self) -> str:
        """Return all that was sent, to look for words in it."""
        return b"".join(self.raw).decode(errors="replace")


class _Kept(SpanExporter):
    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._spans.raw.append(encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS


@contextmanager
def recorded(service: str = "things") -> Iterator[Spans]:
    """Make spans in this process, and keep them at once."""
    spans = Spans()
    with recording(SimpleSpanProcessor(Bare(_Kept(spans))), service):
        yield spans


@dataclass
class Collector(Spans):
    """An OTLP endpoint over HTTP. `answering` cleared, nobody is answered any more."""

    url: str = ""
    answering: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    """Somebody has sent something, answered or not."""

    def take(self, body: bytes) -> None:
        """Keep what was sent, as soon as it may be answered."""
        self.asked.set()
        self.answering.wait()
        self.raw.append(body)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == PATH else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who hung up on a slow answer will know."""

    server = Server(("127.0.0.1", 0), Handler)
    collector = Collector(url=f"http://127.0.0.1:{server.server_port}")
    collector.answering.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spanned(service: str, span: SentSpan) -> Spanned:
    words = [span.status.message, span.trace_state, *(str(event) for event in span.events)]
    return Spanned(
        service=service,
        name=span.name,
        kind=SentSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_plain(span.attributes),
        has_failed=span.status.code == Status.STATUS_CODE_ERROR,
        words=tuple(word for word in words if word),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
