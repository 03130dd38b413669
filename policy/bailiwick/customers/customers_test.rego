package bailiwick.customers_test

import data.bailiwick.customers
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.customers
	document := tables.document(case)
	decision := customers.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_masks_hide_nothing_and_name_the_revision if {
	customers.masks == {"revision": "tested"} with data.system.bundles as tables.bundles
}

test_nothing_is_answered_without_a_bundle if {
	not customers.decision with input as tables.document(data.cases.customers[0])
}

test_whoever_is_nobody_may_nothing if {
	not customers.capable with input as {"action": "view"}
	not customers.include with input as {"action": "view"}
}
