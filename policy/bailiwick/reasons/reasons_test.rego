package bailiwick.reasons_test

import data.bailiwick.reasons

test_the_most_telling_comes_first if {
	found := {"account-inactive", "order-state-forbids", "assignment-ended", "capability-missing"}
	reasons.sorted(found) == ["capability-missing", "assignment-ended", "order-state-forbids", "account-inactive"]
}

test_no_code_is_named_twice if {
	count({code | some code in reasons.precedence}) == count(reasons.precedence)
}

test_every_relation_state_but_current_has_a_known_code if {
	object.keys(reasons.by_relation_state) == {"none", "future", "ended"}
	every _, code in reasons.by_relation_state {
		code in reasons.precedence
	}
}
