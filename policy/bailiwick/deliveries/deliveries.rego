# METADATA
# title: Deliveries
# description: |-
#   Who may see which mails went out (V7; domain §4 "integrations"). A row says whether it is addressed to the caller
#   (recipient) and what became of it (state).
package bailiwick.deliveries

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
	"reasons": reasons.sorted(subject.refusals("deliveries", input.action)),
	"masks": {},
	"revision": sentinel.revision,
}

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
# description: Whether the caller may do input.action to the delivery; as a filter, to which.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.delivery]
#   mask_rule: data.bailiwick.deliveries.masks
default include := false

include if {
	"all" in _reach
	input.delivery.org_id == input.subject.org_id
}

# D21: what was sent, and nothing else. A suppressed one would tell of an order that the recipient may no longer view.
include if {
	"own" in _reach
	not "all" in _reach
	input.delivery.org_id == input.subject.org_id
	input.delivery.recipient == true
	input.delivery.state == "sent"
}

_reach := subject.reach("deliveries", input.action)

# METADATA
# title: Masks
# description: Nothing is masked. A filter is told which revision made it.
# entrypoint: true
masks := {"revision": sentinel.revision}
