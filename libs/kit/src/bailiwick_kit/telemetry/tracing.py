"""Makes spans and sends them to an OTLP endpoint, by OpenTelemetry's own environment variables.

Loaded only where one is set (`kit.telemetry.export`). It guarantees that an endpoint that is slow, dead or
wrong costs a request nothing and the end of a process at most two seconds; that nothing leaves but the
attributes listed here, so no address, query, id of a record, or word of an exception; and that traces
begin with requests, sampled as the service is told to and not as a client wants it (ADR 12).
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    Status,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes
from typing_extensions import override

from bailiwick_kit.telemetry import trace

LAST_WORDS: Final = 2.0
"""Seconds that an ending process waits for its last spans to be taken."""
LONGEST: Final = 2000
"""Characters of an attribute; a statement may be longer."""
_OURS: Final = "bailiwick."
_KEPT: Final = frozenset(
    {
        "db.namespace", "db.query.text", "db.system.name", "error.type", "http.request.method",
        "http.response.status_code", "http.route", "messaging.destination.name",
        "messaging.message.id", "messaging.operation.name", "messaging.operation.type",
        "messaging.system", "network.protocol.version", "url.scheme",
    }
)  # fmt: skip
_OF_NO_INTEREST: Final = ("begin", "rollback", "show", "cursor")
"""What SQLAlchemy says around statements; and a span for each batch of rows would be too many."""
_SET_UP: Final = ("SELECT set_config(", "select pg_catalog.version()", "select current_schema()")
"""How a connection is begun, and lent to an organization."""

_log = structlog.get_logger(__name__)


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Send the process's spans to the endpoint for as long as this lasts.

    Raises:
        ValueError: a variable makes no sense; nothing has begun then.
    """
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if protocol != "http/protobuf":
        msg = "spans are sent by http/protobuf alone"
        raise ValueError(msg)
    # One line for a batch that is lost, every some seconds, and none for each try.
    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.ERROR)
    with recording(BatchSpanProcessor(Bare(OTLPSpanExporter())), service):
        _log.info("tracing.on")
        yield


@contextmanager
def recording(processor: Any, service: str) -> Iterator[None]:
    """Make spans, and hand them to a processor of spans."""
    made = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
    made.sampler = FromRequests(made.sampler)
    made.add_span_processor(processor)
    understood = propagate.get_global_textmap()
    database: Any = AsyncPGInstrumentor()  # type: ignore[no-untyped-call] # it ships no types
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database")  # the names that will stay
    propagate.set_global_textmap(IdsAlone())
    database.instrument(tracer_provider=made)
    try:
        with trace.provided(made):
            yield
    finally:
        database.uninstrument()
        propagate.set_global_textmap(understood)
        ending = threading.Thread(target=made.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(LAST_WORDS)


def _resource(service: str) -> Resource:
    """Say who we are; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have the last word."""
    ours = {
        "service.name": service,
        "service.namespace": "bailiwick",
        "service.instance.id": secrets.token_hex(8),
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())


class FromRequests(Sampler):
    """Lets traces begin with requests, and go on as they began.

    What nobody asked for (the relay's and the workers' looks for work) is no trace. For a request the
    sampler of the environment is asked, with an id that its caller cannot have chosen; what follows
    does as the request did, and what many caused, as any of them.
    """

    def __init__(self, of_requests: Sampler) -> None:
        self._of_requests = of_requests

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return whether this is a span, before it is one."""
        parent = get_current_span(parent_context).get_span_context()
        if kind is SpanKind.SERVER:
            unforeseen = secrets.randbits(128) if parent.is_valid else trace_id
            return self._of_requests.should_sample(Context(), unforeseen, name, kind, attributes)
        if parent.is_valid:
            is_one = parent.trace_flags.sampled and not _is_of_no_interest(name, attributes)
        else:
            is_one = any(link.context.trace_flags.sampled for link in links or ())
        decision = Decision.RECORD_AND_SAMPLE if is_one else Decision.DROP
        return SamplingResult(decision, attributes)

    @override
    def get_description(self) -> str:
        return f"FromRequests({self._of_requests.get_description()})"


def _is_of_no_interest(name: str, attributes: Attributes) -> bool:
    statement = str((attributes or {}).get("db.query.text", ""))
    return name.lower().startswith(_OF_NO_INTEREST) or statement.startswith(_SET_UP)


class IdsAlone(TextMapPropagator):
    """Takes the ids of a `traceparent`; what else comes from outside (`tracestate`, baggage) stays there."""

    @override
    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return the context with the caller's span in it, where there is one."""
        said = trace.read(next(iter(getter.get(carrier, "traceparent") or ()), None))
        context = Context() if context is None else context
        return set_span_in_context(NonRecordingSpan(said), context) if said else context

    @override
    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Do nothing: who is told a trace is told by `trace.trace_parent()`."""

    @property
    @override
    def fields(self) -> set[str]:
        return set()


class Bare(SpanExporter):
    """Sends spans without anything that may name people or show what they wrote.

    By what is let through, not by what is kept back: a library may come to say more. Exceptions show rows.
    """

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        return self._to.export([_bare(span) for span in spans])

    @override
    def shutdown(self) -> None:
        """Send no more."""
        self._to.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is kept here."""
        return self._to.force_flush(timeout_millis)


def _bare(span: ReadableSpan) -> ReadableSpan:
    attributes: Mapping[str, Any] = span.attributes or {}
    return ReadableSpan(
        name=span.name.rstrip(";"),  # COMMIT;
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={
            name: value[:LONGEST] if isinstance(value, str) else value
            for name, value in attributes.items()
            if name in _KEPT or name.startswith(_OURS)
        },
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
