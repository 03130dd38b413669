package bailiwick.customers

import data.bailiwick.reasons
import data.bailiwick.subject

# METADATA
# description: |-
#   Why not, as a set of codes: for want of any right, or because of the row. Only here is relation_state
#   read (D10); a list never asks for it. A decision asks where it does not allow, and only there.
refusals contains code if some code in subject.refusals("customers", input.action)

refusals contains "additional-may-not-edit" if {
	_refused
	input.customer.additional == true
}

# A current relation has no code: it is not the relation that refuses.
refusals contains reasons.by_relation_state[input.customer.relation_state] if _refused

_refused if {
	"portfolio" in _reach
	input.customer.org_id == input.subject.org_id
}
