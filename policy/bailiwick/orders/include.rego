package bailiwick.orders

import data.bailiwick.subject

# METADATA
# title: Include
# description: |-
#   Whether the caller may do input.action to the order; as a filter, to which orders.
#   Every rule reads either how the caller stands to the row, or nothing of the kind.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.order]
#   mask_rule: data.bailiwick.orders.masks
default include := false

include if {
	_reaches("all")
	input.order.org_id == input.subject.org_id
}

# A storefront views what it created.
include if {
	_reaches("own")
	input.order.org_id == input.subject.org_id
	input.order.author == true
}

# L6: an assistant edits their own drafts until they are placed; a storefront places its own.
include if {
	_reaches("own_drafts")
	input.order.org_id == input.subject.org_id
	input.order.author == true
	input.order.state == "draft"
}

# L8: the main representative views and edits all orders of the customer, whoever made them.
include if {
	_reaches("portfolio")
	_open_to_representatives
	input.order.org_id == input.subject.org_id
	input.order.main == true
}

# L8: an additional one views all of them ...
include if {
	_reaches("portfolio")
	input.action == "view"
	input.order.org_id == input.subject.org_id
	input.order.additional == true
}

# ... and edits those they created, or all where the organization wants it.
include if {
	_reaches("portfolio")
	input.action != "view"
	_open_to_representatives
	_theirs_as_additional
	input.order.org_id == input.subject.org_id
	input.order.additional == true
}

# V5: who made an order goes on viewing it once it is placed, where the organization wants it.
include if {
	_reaches("portfolio")
	input.action == "view"
	input.settings.author_keeps_order_view == true
	input.order.org_id == input.subject.org_id
	input.order.author == true
	input.order.state != "draft"
}

# An order is created for a customer: any, or one of the portfolio (V6).
include if {
	_creates("all")
	input.customer.org_id == input.subject.org_id
}

include if {
	_creates("portfolio")
	input.customer.org_id == input.subject.org_id
	input.customer.main == true
}

include if {
	_creates("portfolio")
	input.customer.org_id == input.subject.org_id
	input.customer.additional == true
}

_reach := subject.reach("orders", input.action)

_reaches(extent) if {
	input.action != "create"
	extent in _reach
}

_creates(extent) if {
	input.action == "create"
	extent in _reach
}

# What is confirmed is changed by organization-wide roles only. That no state but a draft is placed, and that
# nobody changes what is fulfilled or cancelled, the state machine says (409).
_open_to_representatives if input.action in {"view", "place"}

_open_to_representatives if {
	input.action in {"edit", "cancel"}
	input.order.state != "confirmed"
}

_theirs_as_additional if input.order.author == true

_theirs_as_additional if input.settings.additional_full_rights == true
