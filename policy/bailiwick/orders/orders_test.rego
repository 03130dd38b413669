package bailiwick.orders_test

import data.bailiwick.orders
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.orders
	document := tables.document(case)
	decision := orders.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_a_portfolio_shows_the_name_only_of_customers_outside_it[person] if {
	some person in ["ana", "bruno", "seller_twice"]
	masks := _masks(person)
	masks == {"order": {"customer": {"replace": {"value": "name"}}}, "revision": "tested"}
}

test_whoever_views_all_orders_sees_all_customers[person] if {
	some person in ["mia", "omar", "nora", "tom", "orders_only", "ana_with_reports"]
	_masks(person) == {"revision": "tested"}
}

test_nothing_is_answered_without_a_bundle if {
	not orders.decision with input as tables.document(data.cases.orders[0])
}

test_whoever_is_nobody_may_nothing if {
	orders.capable == false with input as {"action": "view"}
	orders.include == false with input as {"action": "view"}
}

test_an_order_without_its_facts_is_not_shown if {
	subject := tables.document({"who": "bruno", "does": "view"}).subject
	not orders.include with input as {"subject": subject, "action": "view", "order": {"org_id": "here"}}
}

test_the_customer_beside_an_order_decides_nothing_about_it[action] if {
	some action in ["view", "edit", "place", "cancel"]
	document := tables.document({
		"who": "bruno",
		"does": action,
		"order": {},
		"customer": {"main": true, "relation_state": "current"},
	})
	orders.visible == false with input as document
	orders.allow == false with input as document
}

test_the_order_beside_a_customer_decides_nothing_about_ordering_for_it[person] if {
	some person in ["mia", "bruno", "storefront"]
	document := tables.document({
		"who": person,
		"does": "create",
		"order": {"main": true, "author": true, "relation_state": "current"},
		"customer": {"org_id": "elsewhere"},
	})
	orders.allow == false with input as document
}

_masks(person) := masks if {
	document := tables.document({"who": person, "does": "view"})
	masks := orders.masks with input as document with data.system.bundles as tables.bundles
}
