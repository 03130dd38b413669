package bailiwick.customers

import data.bailiwick.subject

# METADATA
# title: Include
# description: |-
#   Whether the caller may do input.action to the customer; as a filter, to which customers.
#   Every rule reads either a relation of the caller's to the row, or none at all.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.customer]
#   mask_rule: data.bailiwick.customers.masks
default include := false

include if {
	"all" in _reach
	input.customer.org_id == input.subject.org_id
}

# V2, V4: the main representative does everything that a representative may.
include if {
	"portfolio" in _reach
	input.customer.org_id == input.subject.org_id
	input.customer.main == true
}

# L8: an additional one views, and does more only where the organization wants it.
include if {
	"portfolio" in _reach
	_additional_may
	input.customer.org_id == input.subject.org_id
	input.customer.additional == true
}

# V3: who created a customer goes on viewing it, where the organization wants it.
include if {
	"portfolio" in _reach
	input.action in {"view", "lookup"}
	input.settings.creator_keeps_access == true
	input.customer.org_id == input.subject.org_id
	input.customer.author == true
}

_reach := subject.reach("customers", input.action)

_additional_may if input.action in {"view", "lookup"}

_additional_may if input.settings.additional_full_rights == true
