package bailiwick.deliveries_test

import data.bailiwick.deliveries
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.deliveries
	document := tables.document(case)
	decision := deliveries.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_masks_hide_nothing_and_name_the_revision if {
	deliveries.masks == {"revision": "tested"} with data.system.bundles as tables.bundles
}

test_nothing_is_answered_without_a_bundle if {
	not deliveries.decision with input as tables.document(data.cases.deliveries[0])
}

test_whoever_is_nobody_may_nothing if {
	deliveries.capable == false with input as {"action": "view"}
	deliveries.include == false with input as {"action": "view"}
}
