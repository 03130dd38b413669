"""What a mapping may fill is what the services' imports take."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from bailiwick_csv_import import schema
from bailiwick_customers.importing import AssignmentLine, CustomerLine
from bailiwick_identity.importing import RecordLine
from bailiwick_orders.importing import OrderLine


@pytest.mark.parametrize(
    ("fields_of", "model", "ours"),
    [
        (schema.MEMBER, RecordLine, {"external_ref", "collections"}),
        (schema.CUSTOMER, CustomerLine, {"external_ref", "kind"}),
        (schema.ASSIGNMENT, AssignmentLine, {"member_id", "kind"}),
        (schema.ORDER, OrderLine, {"external_ref", "kind", "customer_id", "author_id", "lines"}),
    ],
)
def test_a_mapping_may_fill_what_the_service_takes(
    fields_of: schema.Schema, model: type[BaseModel], ours: set[str]
) -> None:
    named_otherwise = {"member", "customer", "author"}
    assert (
        fields_of.fields.keys() - named_otherwise
        == model.model_fields.keys() - named_otherwise - ours
    )
