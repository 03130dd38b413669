"""The OpenAPI document knows late bodies, late queries and one shape of errors."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from openapi_spec_validator import validate
from pydantic import Field, PlainSerializer

from bailiwick_kit.text.strings import Text
from bailiwick_kit.web.app import create_app
from bailiwick_kit.web.bodies import SentBody, SentQuery, json_body, query
from bailiwick_kit.web.etags import IfMatch
from bailiwick_kit.web.fields import Exact, Model
from bailiwick_kit.web.idempotency import IdempotencyKey
from bailiwick_kit.web.pages import Page, PageQuery
from bailiwick_kit.web.problems import problems
from bailiwick_kit.web.read_your_writes import After


class Terms(Model):
    discount: Exact


class NewThing(Model):
    """What a new thing needs."""

    name: Text
    terms: Terms | None = None


class Thing(Model):
    id: UUID
    name: str
    terms: Terms


class ThingQuery(PageQuery):
    kind: Annotated[Text | None, Field(description="Only of this kind")] = None
    owner_id: UUID | Literal["others"] | None = None


def document() -> dict[str, Any]:
    router = APIRouter(prefix="/v1/things")

    @router.post("", status_code=201, responses=problems(401, 403, 409))
    async def create(
        body: Annotated[SentBody[NewThing], json_body(NewThing)], key: IdempotencyKey, after: After
    ) -> Thing:
        raise NotImplementedError

    @router.get("", responses=problems(401))
    async def listing(
        things: Annotated[SentQuery[ThingQuery], query(ThingQuery)],
    ) -> Page[Thing]:
        raise NotImplementedError

    @router.patch("/{thing_id}", responses=problems(404, 412, 428))
    async def edit(
        thing_id: UUID,
        body: Annotated[SentBody[Terms], json_body(Terms, optional=True)],
        expected: IfMatch,
    ) -> Thing:
        raise NotImplementedError

    return create_app(title="Things", version="1", routers=[router]).openapi()


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_a_late_body_is_a_required_request_body_with_its_component() -> None:
    found = document()
    body = found["paths"]["/v1/things"]["post"]["requestBody"]
    reference = {"$ref": "#/components/schemas/NewThing"}
    assert body == {
        "description": "At most 64 KiB and 104 values",
        "required": True,
        "content": {"application/json": {"schema": reference}},
        "x-most-bytes": 64 * 1024,
        "x-most-values": 104,
    }
    schema = found["components"]["schemas"]["NewThing"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    assert schema["properties"]["name"]["maxLength"] == 200
    edit = found["paths"]["/v1/things/{thing_id}"]["patch"]
    assert edit["requestBody"]["required"] is False


def test_every_reference_leads_somewhere() -> None:
    found = document()
    schemas = found["components"]["schemas"]

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    names = {reference.removeprefix("#/components/schemas/") for reference in references(found)}
    assert names <= schemas.keys()
    assert "Problem" in names
    assert "HTTPValidationError" not in schemas


def test_a_late_query_is_documented_parameter_by_parameter() -> None:
    parameters = document()["paths"]["/v1/things"]["get"]["parameters"]
    found = {parameter["name"]: parameter for parameter in parameters}
    assert found.keys() == {"limit", "cursor", "kind", "owner_id"}
    assert found["limit"]["schema"]["maximum"] == 200
    assert found["limit"]["schema"]["default"] == 50
    assert found["kind"]["description"] == "Only of this kind"
    assert found["kind"]["schema"]["type"] == "string"
    options = found["owner_id"]["schema"]["anyOf"]
    assert [option["type"] for option in options] == ["string", "string"], "absent, never null"
    assert not any(parameter["required"] for parameter in parameters)


def test_every_error_is_a_problem_document() -> None:
    found = document()
    post = found["paths"]["/v1/things"]["post"]["responses"]
    assert list(post) == sorted(post)
    assert post.keys() >= {"201", "400", "401", "403", "409", "413", "415", "422", "500", "503"}
    for item in found["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert answer["content"].keys() == {"application/problem+json"}


def test_headers_are_documented() -> None:
    parameters = document()["paths"]["/v1/things"]["post"]["parameters"]
    headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    assert headers == {"idempotency-key", "bailiwick-after"}


def test_an_input_that_differs_from_the_answer_of_the_same_name_is_kept_apart() -> None:
    class Amount(Model):
        value: Annotated[int, PlainSerializer(str, return_type=str)] = 1

    class Order(Model):
        amount: Amount

    router = APIRouter()

    @router.post("/orders")
    async def create(body: Annotated[SentBody[Order], json_body(Order)]) -> Order:
        raise NotImplementedError

    schemas = create_app(title="t", version="1", routers=[router]).openapi()["components"][
        "schemas"
    ]
    assert schemas.keys() >= {"Amount", "Amount-Input", "Order", "Order-Input"}
    inner = schemas["Order-Input"]["properties"]["amount"]["$ref"]
    assert inner == "#/components/schemas/Amount-Input"
    assert schemas["Order"]["properties"]["amount"]["$ref"] == "#/components/schemas/Amount"
