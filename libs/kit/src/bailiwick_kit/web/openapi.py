"""Completes FastAPI's OpenAPI document with what is read late, and with one shape for every error.

Late bodies (`kit.web.bodies`) get their request body and schemas, late queries their parameters, and
FastAPI's own description of 422 gives way to the problem document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from bailiwick_kit.web.bodies import KIB, BodyReader, QueryReader
from bailiwick_kit.web.problems import Problem, problems

_REF = "#/components/schemas/{model}"
_PREFIX = _REF.removesuffix("{model}")
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
_SENTENCE = re.compile(r"\.(?=\s|$)")


def _readers(dependant: Dependant) -> Iterator[BodyReader[Any] | QueryReader[Any]]:
    if isinstance(dependant.call, BodyReader | QueryReader):
        yield dependant.call
    for part in dependant.dependencies:
        yield from _readers(part)


def _operations(
    document: dict[str, Any], routes: Sequence[BaseRoute]
) -> Iterator[tuple[dict[str, Any], list[BodyReader[Any] | QueryReader[Any]]]]:
    for context in iter_route_contexts(routes):
        if not isinstance(context.original_route, APIRoute):
            continue
        item = document["paths"].get(context.path_format, {})
        for method in context.methods or ():
            operation = item.get(method.lower())
            if operation is not None:
                yield operation, list(_readers(context.dependant))


def _add_models(
    schemas: dict[str, Any], models: Sequence[type[BaseModel]]
) -> dict[type[BaseModel], str]:
    """Put the models' input schemas among the components; return each model's reference.

    Where an answer has a schema of the same name but another content, ours is called `…-Input`, as
    FastAPI itself does it.
    """
    references, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF
    )
    ours: dict[str, Any] = definitions.get("$defs", {})
    taken = {name for name, schema in ours.items() if schemas.get(name, schema) != schema}
    while more := {
        name for name in ours.keys() - taken if name in schemas and _refers(ours[name], taken)
    }:
        taken |= more
    names = {_PREFIX + name: f"{_PREFIX}{name}-Input" for name in taken}
    for name, schema in ours.items():
        schemas[f"{name}-Input" if name in taken else name] = _renamed(schema, names)
    found = {model: str(references[model, "validation"]["$ref"]) for model in models}
    return {model: names.get(reference, reference) for model, reference in found.items()}


def _refers(schema: Any, names: set[str]) -> bool:
    match schema:
        case {"$ref": str(reference)}:
            return reference.removeprefix(_PREFIX) in names
        case dict():
            return any(_refers(part, names) for part in schema.values())
        case list():
            return any(_refers(part, names) for part in schema)
        case _:
            return False


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    match schema:
        case {"$ref": str(reference), **others}:
            return {**others, "$ref": names.get(reference, reference)}
        case dict():
            return {key: _renamed(part, names) for key, part in schema.items()}
        case list():
            return [_renamed(part, names) for part in schema]
        case _:
            return schema


def _parameters(model: type[BaseModel], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(mode="validation", ref_template=_REF)
    for name, definition in schema.get("$defs", {}).items():
        schemas.setdefault(name, definition)
    required = schema.get("required", ())
    return [
        _parameter(name, dict(described), required=name in required)
        for name, described in schema.get("properties", {}).items()
    ]


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    parameter = {"name": name, "in": "query", "required": required}
    if description := schema.pop("description", None):
        parameter["description"] = description
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:  # a parameter is absent, never null
        del schema["anyOf"]
        schema |= options[0]
    elif options:
        schema["anyOf"] = options
    if schema.get("default", ...) is None:
        del schema["default"]
    return {**parameter, "schema": schema}


def _complete_header(parameter: dict[str, Any]) -> None:
    """Say of a header that it is absent, never null; and of If-Match that it is not absent: that is 428."""
    if parameter["in"] == "header":
        options = [one for one in parameter["schema"].get("anyOf", ()) if one != {"type": "null"}]
        if len(options) == 1:
            parameter["schema"] = options[0]
        parameter["required"] = parameter["name"] == "if-match"


def complete(document: dict[str, Any], routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return FastAPI's document with late bodies, late queries and problem documents."""
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    operations = list(_operations(document, routes))
    bodies = [
        reader.model
        for _, readers in operations
        for reader in readers
        if isinstance(reader, BodyReader)
    ]
    references = _add_models(schemas, [Problem, *dict.fromkeys(bodies)])
    for operation, readers in operations:
        # FastAPI's summary is the function's name; what it does is the first sentence.
        if description := operation.get("description"):
            operation["summary"] = _SENTENCE.split(description, maxsplit=1)[0]
        responses = operation.setdefault("responses", {})
        declared = responses.get("422", {}).get("content", {}).get("application/json", {})
        errors = {str(status): answer for status, answer in problems(400, 413, 415, 422).items()}
        if declared.get("schema", {}).get("$ref") == _PREFIX + _FASTAPI_ERRORS[0]:
            responses["422"] = errors["422"]
        for parameter in operation.get("parameters", ()):
            _complete_header(parameter)
        for reader in readers:
            if isinstance(reader, BodyReader):
                content = {"application/json": {"schema": {"$ref": references[reader.model]}}}
                operation["requestBody"] = {
                    "description": f"At most {reader.most_bytes // KIB} KiB"
                    f" and {reader.most_values} values",
                    "required": not reader.optional,
                    "content": content,
                    "x-most-bytes": reader.most_bytes,
                    "x-most-values": reader.most_values,
                }
                operation["responses"] = responses = {**errors, **responses}
            else:
                parameters = operation.setdefault("parameters", [])
                parameters += _parameters(reader.model, schemas)
                responses.setdefault("422", errors["422"])
        operation["responses"] = dict(sorted(responses.items()))
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document
