package bailiwick.customers_test

import data.bailiwick.customers
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.customers
	document := tables.document(case)
	decision := customers.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_whoever_views_all_customers_sees_all_of_them[person] if {
	some person in ["mia", "omar", "nora", "ana_with_reports"]
	_masks(person) == {}
}

test_a_portfolio_shows_parents_that_may_be_viewed_too[case] if {
	some person in ["ana", "bruno"]
	some keeps in [true, false]
	case := [person, keeps]
	document := tables.document({"who": person, "does": "view", "settings": {"creator_keeps_access": keeps}})
	masks := customers.masks with input as document with data.system.bundles as tables.bundles
	split(masks.customer.parent_id.replace.value, " ") == sort(_viewing(document))
}

# The relations that let somebody view a customer, each by itself.
_viewing(document) := {relation |
	some relation in ["main", "additional", "author", "cover"]
	customer := {"org_id": document.subject.org_id, relation: true}
	customers.include with input as object.union(document, {"customer": customer})
}

test_terms_are_not_for_custom_members if {
	_masks("zoe") == {"terms": {"replace": {"value": "hidden"}}}
}

test_a_storefront_names_a_customer_and_does_not_search if {
	_masks("storefront") == {"search": {"replace": {"value": "exact"}}}
}

test_nothing_is_answered_without_a_bundle if {
	not customers.decision with input as tables.document(data.cases.customers[0])
}

test_whoever_is_nobody_may_nothing if {
	customers.capable == false with input as {"action": "view"}
	customers.include == false with input as {"action": "view"}
}

_masks(person) := masks.customer if {
	document := tables.document({"who": person, "does": "view"})
	masks := customers.masks with input as document with data.system.bundles as tables.bundles
	masks.revision == "tested"
}
