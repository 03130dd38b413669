package bailiwick.preferences_test

import data.bailiwick.preferences
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.preferences
	document := tables.document(case)
	decision := preferences.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_masks_hide_nothing_and_name_the_revision if {
	preferences.masks == {"revision": "tested"} with data.system.bundles as tables.bundles
}

test_nothing_is_answered_without_a_bundle if {
	not preferences.decision with input as tables.document(data.cases.preferences[0])
}

test_whoever_is_nobody_may_nothing if {
	preferences.capable == false with input as {"action": "view"}
	preferences.include == false with input as {"action": "view"}
}
