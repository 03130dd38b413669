"""Which trace it belongs to, what happens: by W3C `traceparent` from a request to the mail it causes.

The id is in the answer, in log lines and in events whether or not anybody collects spans; nothing is ever
decided by it. Spans are made where `export` found that an OTLP endpoint is set, and only there is the SDK
loaded (`kit.telemetry.tracing`). Beside all that, the ids by which the policy engine's decision log knows
the decisions of the request.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import structlog
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    format_trace_id,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import AttributeValue
from structlog.contextvars import bind_contextvars, bound_contextvars, reset_contextvars

_KEY = "bailiwick.trace_id"
_MOST_DECISIONS = 20
_decisions: ContextVar[deque[str] | None] = ContextVar("bailiwick.decisions", default=None)
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_log = structlog.get_logger(__name__)
_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def read(traceparent: str | None) -> SpanContext | None:
    """Return what a traceparent says, None where it says nothing that W3C allows."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.group(1, 2, 3))
    found = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return found if found.is_valid else None


def trace_parent() -> str | None:
    """Return a W3C traceparent for what is caused here, None outside of any trace."""
    return parent_of(get_current_span())


def here() -> Span:
    """Return the span at hand, or one that is none."""
    return get_current_span()


def parent_of(one: Span) -> str | None:
    """Return a W3C traceparent for what a span causes, None where it is none."""
    here = one.get_span_context()
    if not here.is_valid:
        return None
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


@contextmanager
def of_request(scope: MutableMapping[str, Any], traceparent: str | None) -> Iterator[str]:
    """Give a request its trace, for all that is done inside, and yield the id.

    It is that of the span which FastAPI has begun; where nobody collects spans, the caller's, or new.
    That a caller wants to be sampled is not handed on (ADR 12).
    """
    here, is_begun = get_current_span().get_span_context(), True
    if not here.is_valid:
        said, is_begun = read(traceparent), False
        trace_id = said.trace_id if said else secrets.randbits(128) | 1
        span_id = said.span_id if said else secrets.randbits(64) | 1
        here = SpanContext(trace_id, span_id, is_remote=True)
    scope[_KEY] = format_trace_id(here.trace_id)
    with _logged(here) if is_begun else _within(here):
        yield scope[_KEY]


def trace_id_of(scope: Mapping[str, Any]) -> str:
    """Return the request's trace id."""
    return str(scope.get(_KEY) or secrets.token_hex(16))


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    parent: str | None = None,
    causes: Sequence[str] = (),
) -> AbstractContextManager[Span]:
    """Do what is inside as one span of the trace at hand; outside of traces, just do it.

    `parent`: of the trace that this traceparent names, as are log lines inside, even where nobody
    collects spans. `causes`: of a new trace that is linked to each of these, because many caused it.
    """
    said = read(parent)
    links = [Link(cause) for cause in map(read, causes) if cause is not None] if _tracer else []
    if _tracer is None or not (said or links or get_current_span().get_span_context().is_valid):
        return _within(said) if said else nullcontext(INVALID_SPAN)
    context = Context() if links else None
    if said is not None:
        context = set_span_in_context(NonRecordingSpan(said))
    return _through(_tracer.start_span(name, context, kind, attributes, links))


@contextmanager
def _through(begun: Span) -> Iterator[Span]:
    with (
        use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False),
        _logged(begun.get_span_context()),
    ):
        try:
            yield begun
        except BaseException as error:
            failed(error)
            raise


@contextmanager
def span_of_many(
    name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue], *, parent: str | None
) -> Iterator[Span]:
    """Do what is inside as the span of one of many that are done at once: what it does is not below it.

    Yields a span that `parent_of` turns into the traceparent of what this one causes.
    """
    said = read(parent)
    if said is None:
        yield INVALID_SPAN
        return
    above = NonRecordingSpan(said)
    if _tracer is None:
        yield above
        return
    begun = _tracer.start_span(name, set_span_in_context(above, Context()), kind, attributes)
    try:
        yield begun
    except BaseException as error:
        _mark_failed(begun, error)
        raise
    finally:
        begun.end()


def note(name: str, value: AttributeValue, of: Span | None = None) -> None:
    """Say something about a span, else the one at hand, if any: never anything that names people."""
    (of or get_current_span()).set_attribute(f"bailiwick.{name}", value)


def failed(error: BaseException) -> None:
    """Say that the span at hand has failed, and by what: not in the error's words, which may name people."""
    _mark_failed(get_current_span(), error)


def _mark_failed(one: Span, error: BaseException) -> None:
    one.set_attribute("error.type", type(error).__name__)
    one.set_status(StatusCode.ERROR)


@contextmanager
def _within(here: SpanContext) -> Iterator[Span]:
    """Be in a trace without a span of ours."""
    token = contexts.attach(set_span_in_context(NonRecordingSpan(here)))
    bound = bind_contextvars(trace_id=format_trace_id(here.trace_id))
    try:
        yield INVALID_SPAN
    finally:
        reset_contextvars(**bound)
        contexts.detach(token)


def _logged(here: SpanContext) -> AbstractContextManager[None]:
    return bound_contextvars(trace_id=format_trace_id(here.trace_id))


def provider() -> TracerProvider | None:
    """Return what makes spans, None where nobody collects them."""
    return _provider


@contextmanager
def provided(by: TracerProvider) -> Iterator[None]:
    """Have spans made for as long as this lasts."""
    global _provider, _tracer  # of the process, as is the endpoint
    before = _provider, _tracer
    _provider, _tracer = by, by.get_tracer(__name__)
    try:
        yield
    finally:
        _provider, _tracer = before


@contextmanager
def collecting_decisions() -> Iterator[deque[str]]:
    """Collect the ids of the decisions that are made inside, the last twenty of them."""
    ids: deque[str] = deque(maxlen=_MOST_DECISIONS)
    token = _decisions.set(ids)
    try:
        yield ids
    finally:
        _decisions.reset(token)


def note_decision(decision_id: str) -> None:
    """Keep a decision's id for the log line of the request in hand, if there is one."""
    ids = _decisions.get()
    if decision_id and ids is not None:
        ids.append(decision_id)
