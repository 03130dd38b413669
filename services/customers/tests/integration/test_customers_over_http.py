"""Customers through HTTP: who sees, creates and changes what."""

from __future__ import annotations

from bailiwick_testkit.shop import Shop


async def test_a_representative_sees_what_they_create_and_nobody_else_does(shop: Shop) -> None:
    mia = await shop.member("brand_manager")
    ana = await shop.member(permissions=["seller"])
    bruno = await shop.member("sales_representative")

    made = await shop.api.post(ana, "/v1/customers", {"name": "Ψαράς & Υιοί", "addresses": [{"country": "GR", "city": "Πάτρα"}]})

    assert made.status_code == 201, made.text
    body = made.json()
    assert body["main_id"] == str(ana.member_id)
    assert body["status"] == "approved"
    assert made.headers["etag"] == '"v1"'
    path = made.headers["location"]
    for who, status, count in ((mia, 200, 1), (ana, 200, 1), (bruno, 404, 0)):
        assert (await shop.api.get(who, path)).status_code == status
        answer = await shop.api.get(who, "/v1/customers")
        assert answer.status_code == 200, answer.text
        listed = answer.json()["items"]
        assert [one["customer_id"] for one in listed] == [body["customer_id"]] * count
        assert (await shop.api.get(who, "/v1/customers/count")).json() == {"count": count}
