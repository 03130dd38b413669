# METADATA
# title: Customers
# description: Who may do what to a customer (V1–V4, L2–L8; domain §3, §4).
package bailiwick.customers

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

# Who may do anything with it, look it up say, may know of it.
visible if include

visible if include with input.action as "view"

default allow := false

allow if {
	capable
	include
}

# METADATA
# title: Masks
# description: |-
#   What is shown less of, for this caller. `terms` hidden: commercial conditions are not theirs to know.
#   `parent_id` names the relations to the parent with which they may view it, too: without one of them it is not
#   shown. `search` exact: who names a customer by id or code does not search among them. A filter is sent with
#   them, so they say which revision made it.
# entrypoint: true
masks := object.union(_masks, {"revision": sentinel.revision})

_masks := {"customer": _columns}

_columns := {column: {"replace": {"value": how}} | some column, how in _shown}

_shown["terms"] := "hidden" if subject.is_above_ceiling("customers", "edit_terms")

_shown["parent_id"] := concat(" ", sort(_viewing)) if "portfolio" in subject.reach("customers", "view")

_shown["search"] := "exact" if input.subject.kind == "service"

# As `include` says of viewing; a test compares them.
_viewing := {"main", "additional"} | _as_creator

default _as_creator := set()

_as_creator := {"author"} if input.settings.creator_keeps_access == true
