package bailiwick.members_test

import data.bailiwick.members
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.members
	document := tables.document(case)
	decision := members.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_masks_hide_nothing_and_name_the_revision if {
	members.masks == {"revision": "tested"} with data.system.bundles as tables.bundles
}

test_nothing_is_answered_without_a_bundle if {
	not members.decision with input as tables.document(data.cases.members[0])
}

test_whoever_is_nobody_may_nothing if {
	members.capable == false with input as {"action": "view"}
	members.include == false with input as {"action": "view"}
}
