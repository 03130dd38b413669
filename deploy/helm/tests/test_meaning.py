"""What the chart names is there: each address, link, port, account and key of a Secret."""

from __future__ import annotations

import pytest

from bailiwick_testkit.chart import VALUES, Chart, containers, environment, of_kind
from bailiwick_testkit.links import leads_somewhere, order_link


@pytest.mark.parametrize("values", VALUES)
def test_mails_link_to_nothing_that_the_gateway_does_not_serve(chart: Chart, values: str) -> None:
    for manifest in of_kind(chart.rendered(values), "Deployment"):
        for container in containers(manifest):
            if base := environment(container).get("BAILIWICK_PUBLIC_URL"):
                assert leads_somewhere(order_link(base))
