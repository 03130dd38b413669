package bailiwick.organizations_test

import data.bailiwick.organizations
import data.bailiwick.tables_test as tables

test_table[case.case] if {
	some case in data.cases.organizations
	document := tables.document(case)
	decision := organizations.decision with input as document with data.system.bundles as tables.bundles
	tables.told(decision, document) == tables.expected(case)
}

test_masks_hide_nothing_and_name_the_revision if {
	organizations.masks == {"revision": "tested"} with data.system.bundles as tables.bundles
}

test_nothing_is_answered_without_a_bundle if {
	not organizations.decision with input as tables.document(data.cases.organizations[0])
}

test_whoever_is_nobody_may_nothing if {
	organizations.capable == false with input as {"action": "view"}
	organizations.include == false with input as {"action": "view"}
}
