# METADATA
# description: What of a decision is left out of its log.
package decision_log_mask_test

import data.system.log

_question := {"subject": {"org_id": "o", "member_id": "m"}, "settings": {"notify_additional": true}, "action": "view"}

test_known_facts_are_told if log.mask == set() with input as {"input": _question}

test_unknown_fact_is_left_out if {
	asked := object.union(_question, {"subject": {"email": "ana@alameda.example"}})
	log.mask == {"/input/subject/email"} with input as {"input": asked}
}

test_unknown_part_is_left_out if {
	asked := object.union(_question, {"token": {"text": "eyJ"}})
	log.mask == {"/input/token"} with input as {"input": asked}
}

test_probes_are_not_told if {
	log.drop with input as {"path": "bailiwick/sentinel/revision"}
	not log.drop with input as {"path": "bailiwick/orders/decision"}
}
