# METADATA
# title: Customers
# description: Who may do what to a customer (V1–V4, L2–L8; domain §3, §4).
package bailiwick.customers

import data.bailiwick.reasons
import data.bailiwick.sentinel

# METADATA
# title: Decision
# description: Everything about one question at once, so that one revision answers all of it (D9).
# entrypoint: true
decision := {
	"capable": capable,
	"visible": visible,
	"allow": allow,
	"reasons": reasons.sorted(refusals),
	"masks": {},
	"revision": sentinel.revision,
}

default capable := false

capable if count(_reach) > 0

default visible := false

visible if include with input.action as "view"

visible if {
	input.action == "lookup"
	include
}

default allow := false

allow if {
	capable
	include
}

# METADATA
# title: Masks
# description: Nothing of a customer that may be viewed is masked. A filter is told which revision made it.
# entrypoint: true
masks := {"revision": sentinel.revision}
