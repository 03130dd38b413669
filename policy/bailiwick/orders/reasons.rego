package bailiwick.orders

import data.bailiwick.reasons
import data.bailiwick.subject

# METADATA
# description: |-
#   Why not, as a set of codes: for want of any right, or because of the row. Only here is relation_state
#   read (D10); a list never asks for it. A decision asks where it does not allow, and only there.
refusals contains code if some code in subject.refusals("orders", input.action)

refusals contains "order-not-own-as-additional" if {
	_refused("portfolio")
	input.order.main == false
	input.order.additional == true
	not _theirs_as_additional
}

# A current relation has no code: it is not the relation that refuses.
refusals contains reasons.by_relation_state[_row.relation_state] if _refused("portfolio")

refusals contains "order-state-forbids" if {
	_refused("portfolio")
	input.action in {"edit", "cancel"}
	input.order.state == "confirmed"
}

refusals contains "not-own-draft" if _refused("own_drafts")

refusals contains "not-assigned" if _refused("own")

_refused(extent) if {
	extent in _reach
	_row.org_id == input.subject.org_id
}

_row := input.order if input.action != "create"

_row := input.customer if input.action == "create"
