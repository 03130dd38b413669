# METADATA
# title: Reports
# description: |-
#   Whose sales the caller may see added up (V8, V10, L3–L6; domain §3 "reports of a rep", §4). A row is an order, or
#   what several that stand to the caller alike add up to.
package bailiwick.reports

import data.bailiwick.orders
import data.bailiwick.reasons
import data.bailiwick.sentinel
import data.bailiwick.subject

# METADATA
# title: Decision
# description: Everything about one question at once, so that one revision answers all of it (D9).
# entrypoint: true
decision := {
	"capable": capable,
	"visible": visible,
	"allow": allow,
	"reasons": _told,
	"masks": object.remove(masks, ["revision"]),
	"revision": sentinel.revision,
}

# What is allowed needs no reason.
_told := [] if allow

_told := reasons.sorted(_refusals) if not allow

default capable := false

capable if count(_reach) > 0

default visible := false

visible if include with input.action as "view"

default allow := false

allow if {
	capable
	include
}

# METADATA
# title: Include
# description: Whether the order counts for input.action; as a filter, which orders do.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.order]
#   mask_rule: data.bailiwick.reports.masks
default include := false

include if {
	"all" in _reach
	input.order.org_id == input.subject.org_id
}

# V8: exactly the orders that the caller may view, by the rule that says which these are.
include if {
	"portfolio" in _reach
	orders.include
}

_reach := subject.reach("reports", input.action)

_refusals contains code if some code in subject.refusals("reports", input.action)

# What does not count is what may not be viewed, for the same reasons.
_refusals contains code if {
	"portfolio" in _reach
	some code in orders.refusals
}

# METADATA
# title: Masks
# description: |-
#   What is shown less of is what orders show less of: unless main or additional holds for the row, its customer is
#   the name only. A filter is sent with them, so they say which revision made it.
# entrypoint: true
masks := orders.masks
