# METADATA
# title: Orders
# description: Who may do what to an order (V2, V5, V6, L4–L8; domain §3, §4). Creating one is decided on its customer.
package bailiwick.orders

import data.bailiwick.customers
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
	"masks": _masks,
	"revision": sentinel.revision,
}

# What is allowed needs no reason.
_told := [] if allow

_told := reasons.sorted(refusals) if not allow

default capable := false

capable if count(_reach) > 0

default visible := false

# Who may do anything with it may know of it.
visible if include

visible if include with input.action as "view"

# A customer to order for may be known of by whoever may look it up.
visible if {
	input.action == "create"
	customers.include with input.action as "lookup"
}

default allow := false

allow if {
	capable
	include
}

# METADATA
# title: Masks
# description: |-
#   What is shown less of, for this caller. `name`: unless main or additional holds for the row, its customer is
#   the name only. A filter is sent with them, so they say which revision made it.
# entrypoint: true
masks := object.union(_masks, {"revision": sentinel.revision})

default _masks := {}

_masks := {"order": {"customer": {"replace": {"value": "name"}}}} if "portfolio" in subject.reach("orders", "view")
