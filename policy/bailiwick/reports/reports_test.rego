package bailiwick.reports_test

import data.bailiwick.orders
import data.bailiwick.reports
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.reports
	document := tables.document(case)
	decision := reports.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

# V8. The cases of orders are cases of reports too: what a representative views is what counts, for the same reasons.
test_a_portfolio_counts_the_orders_that_it_shows[case.case] if {
	some case in _views_of_a_portfolio
	document := tables.document(case)
	decided := reports.decision with input as document with data.system.bundles as tables.bundles
	viewed := orders.decision with input as document with data.system.bundles as tables.bundles
	decided == viewed
}

test_masks_are_those_of_orders[person] if {
	some person, _ in data.cases.cast.people
	document := tables.document({"who": person, "does": "view"})
	masks := reports.masks with input as document with data.system.bundles as tables.bundles
	hidden := orders.masks with input as document with data.system.bundles as tables.bundles
	masks == hidden
	decision := reports.decision with input as document with data.system.bundles as tables.bundles
	object.union(decision.masks, {"revision": decision.revision}) == masks
}

test_a_portfolio_shows_the_name_only_of_customers_outside_it if {
	document := tables.document({"who": "ana", "does": "view"})
	masks := reports.masks with input as document with data.system.bundles as tables.bundles
	masks == {"order": {"customer": {"replace": {"value": "name"}}}, "revision": "tested"}
}

test_orders_that_may_be_viewed_do_not_count_for_whoever_sees_no_figures[person] if {
	some person in ["tom", "orders_only", "storefront"]
	document := tables.document({"who": person, "does": "view", "order": {"author": true}})
	orders.include with input as document
	reports.visible == false with input as document
}

test_nothing_is_answered_without_a_bundle if {
	not reports.decision with input as tables.document(data.cases.reports[0])
}

test_whoever_is_nobody_may_nothing if {
	reports.capable == false with input as {"action": "view"}
	reports.include == false with input as {"action": "view"}
}

_views_of_a_portfolio := [case |
	some case in data.cases.orders
	case.does == "view"
	case.who in ["ana", "bruno", "seller_twice", "seller_and_unknown"]
]
