"""What a mapping may fill is what the services' imports take."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from bailiwick_customers.importing import AssignmentLine, CustomerLine
from bailiwick_identity.importing import RecordLine
from bailiwick_local.importing import shapes
from bailiwick_orders.importing import OrderLine


@pytest.mark.parametrize(
    ("shape", "model", "ours"),
    [
        (shapes.MEMBER, RecordLine, {"external_ref", "collections"}),
        (shapes.CUSTOMER, CustomerLine, {"external_ref", "kind"}),
        (shapes.ASSIGNMENT, AssignmentLine, {"member_id", "kind"}),
        (shapes.ORDER, OrderLine, {"external_ref", "kind", "customer_id", "author_id", "lines"}),
    ],
)
def test_a_mapping_may_fill_what_the_service_takes(
    shape: shapes.Shape, model: type[BaseModel], ours: set[str]
) -> None:
    named_otherwise = {"member", "customer", "author"}
    assert (
        shape.fields.keys() - named_otherwise == model.model_fields.keys() - named_otherwise - ours
    )
