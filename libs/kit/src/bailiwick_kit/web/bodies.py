"""Bodies and queries that are read raw and validated late.

FastAPI validates before any dependency has spoken; here 401, 403 and 404 come first (domain §4), so
a route hands `Sent…` on and the action reads it when it is the input's turn.

    async def create(body: Annotated[SentBody[NewOrder], json_body(NewOrder)]) -> …:
        order = body.read()
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

from fastapi import Depends
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bailiwick_kit.errors import Fault, Invalid, Malformed
from bailiwick_kit.web.json_bounds import TOO_LONG, is_heavier, most_values
from bailiwick_kit.web.problems import TooLarge
from bailiwick_kit.web.validation import faults_of, refusal_of, where

KIB = 1024
MOST_BYTES = 64 * KIB
"""Bytes of a body, where the route says nothing else; the whole application's limit is 1 MiB."""
_OBJECT = re.compile(rb"[ \t\r\n]*\{")

ModelT = TypeVar("ModelT", bound=BaseModel)
ModelT_co = TypeVar("ModelT_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class SentBody(Generic[ModelT_co]):
    """A JSON body as it came: a `Submitted` that also knows its fingerprint."""

    model: type[ModelT_co]
    raw: bytes
    content_type: str = "application/json"
    content_encoding: str = "identity"
    optional: bool = False
    most_values: int | None = None
    """More are refused; None: whoever made it knows what is in it."""

    def read(self) -> ModelT_co:
        """Return the validated body.

        Raises:
            HTTPException: 415, it is not declared as plain JSON; 413, it has too many values.
            Malformed: it is not JSON, or not an object.
            Invalid: a field is missing, unknown or wrong; one fault each.
        """
        raw = self._json
        try:
            return self.model.model_validate_json(raw)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise refusal_of(found) from None

    def fingerprint(self) -> str:
        """Return a hash of what was sent, whatever its spacing and order of keys (D23).

        Raises:
            HTTPException: 415, it is not declared as plain JSON; 413, it has too many values.
            Malformed: it is not JSON, or not an object.
        """
        try:
            value = from_json(self._json)
            canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
        except ValueError:
            raise Malformed("Send valid JSON.") from None
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def _json(self) -> bytes:
        if self.optional and not self.raw:
            return b"{}"
        media_type, _, _ = self.content_type.partition(";")
        if media_type.strip().lower() != "application/json":
            raise HTTPException(415)
        if self.content_encoding.strip().lower() not in {"", "identity"}:
            raise HTTPException(415)  # nothing is unpacked here: no gzip bomb (S9)
        if not _OBJECT.match(self.raw):
            raise Malformed("Send a JSON object.")
        if self.most_values is not None and is_heavier(self.raw, self.most_values):
            raise TooLarge(
                f"Send at most {self.most_values} values; split what has more."
                f" No number has {TOO_LONG} digits."
            )
        return self.raw

    def part(self, model: type[ModelT]) -> SentBody[ModelT]:
        """Return the same body, to be read by a model that looks at some fields only."""
        return replace(self, model=model)  # type: ignore[return-value, arg-type]


@dataclass(frozen=True)
class BodyReader(Generic[ModelT]):
    """The dependency behind `json_body`; `kit.web.openapi` finds it to document the model."""

    model: type[ModelT]
    optional: bool
    most_bytes: int
    most_values: int

    async def __call__(self, request: Request) -> SentBody[ModelT]:
        """Read the bytes.

        Raises:
            TooLarge: there are more than the operation takes.
        """
        return SentBody(
            model=self.model,
            raw=await self._bytes(request),
            most_values=self.most_values,
            content_type=request.headers.get("content-type", ""),
            content_encoding=request.headers.get("content-encoding", ""),
            optional=self.optional,
        )

    async def _bytes(self, request: Request) -> bytes:
        raw = bytearray()
        async for piece in request.stream():
            if len(raw) + len(piece) > self.most_bytes:
                raise TooLarge(f"Send at most {self.most_bytes // KIB} KiB; split what is larger.")
            raw += piece
        return bytes(raw)


def json_body(
    model: type[BaseModel], *, optional: bool = False, most_bytes: int = MOST_BYTES
) -> Any:
    """Declare a lazily read body of at most `most_bytes`; `optional` takes no body at all for `{}`."""
    return Depends(BodyReader(model, optional, most_bytes, most_values(model)))


@dataclass(frozen=True)
class SentQuery(Generic[ModelT_co]):
    """A query string as it came: a `Submitted`. `path` and `pairs` are for links and cursors."""

    model: type[ModelT_co]
    path: str
    pairs: Sequence[tuple[str, str]]

    def read(self) -> ModelT_co:
        """Return the validated query.

        Raises:
            Invalid: a parameter is missing, unknown, repeated or wrong; one fault each.
        """
        values: dict[str, Any] = {}
        for name, value in self.pairs:
            field = self.model.model_fields.get(name)
            if field is not None and _is_list(field.annotation):
                values.setdefault(name, []).append(value)
            elif name in values:
                raise Invalid(faults=(Fault(where([name]), "repeated", "Send it once"),))
            else:
                values[name] = value
        try:
            return self.model.model_validate(values, strict=False)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise Invalid(faults=faults_of(found)) from None

    @classmethod
    def of(cls, model: type[ModelT_co], path: str = "/", **values: str) -> SentQuery[ModelT_co]:
        """Build one for imports and tests."""
        return cls(model, path, tuple(values.items()))


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        return any(_is_list(part) for part in get_args(annotation))
    return origin in {list, tuple, set, frozenset}


@dataclass(frozen=True)
class QueryReader(Generic[ModelT]):
    """The dependency behind `query`; `kit.web.openapi` finds it to document the parameters."""

    model: type[ModelT]

    async def __call__(self, request: Request) -> SentQuery[ModelT]:
        """Take the query string apart, without judging it."""
        pairs = tuple(request.query_params.multi_items())
        return SentQuery(self.model, request.url.path, pairs)


def query(model: type[BaseModel]) -> Any:
    """Declare a lazily read query string."""
    return Depends(QueryReader(model))
