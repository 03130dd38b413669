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

# How far the caller's right reaches is asked once: a filter is made of what is left, and each rule would ask anew.
include if {
	some extent in _reach
	_within(extent)
}

_reach := subject.reach("orders", input.action)

_within(extent) if {
	input.action != "create"
	input.order.org_id == input.subject.org_id
	_order_within(extent)
}

# An order is created for a customer.
_within(extent) if {
	input.action == "create"
	input.customer.org_id == input.subject.org_id
	_customer_within(extent)
}

_order_within("all") := true

# A storefront views what it created.
_order_within("own") if input.order.author == true

# L6: an assistant edits their own drafts until they are placed; a storefront places its own.
_order_within("own_drafts") if {
	input.order.author == true
	input.order.state in _open_to_authors
}

# L8: the main representative views and edits all orders of the customer, whoever made them.
_order_within("portfolio") if {
	_open_to_representatives
	input.order.main == true
}

# L8: an additional one views all of them ...
_order_within("portfolio") if {
	input.action == "view"
	input.order.additional == true
}

# ... and edits those they created, or all where the organization wants it.
_order_within("portfolio") if {
	input.action != "view"
	_open_to_representatives
	_theirs_as_additional
	input.order.additional == true
}

# V5: who made an order goes on viewing it where the organization wants it, if they placed it or represented its
# customer when it was placed. What was never placed is never kept (domain §3).
_order_within("portfolio") if {
	input.action == "view"
	input.settings.author_keeps_order_view == true
	input.order.author == true
	input.order.author_keeps_view == true
}

# V6: for any customer, or for one of the portfolio.
_customer_within("all") := true

_customer_within("portfolio") if input.customer.main == true

_customer_within("portfolio") if input.customer.additional == true

# What is confirmed is changed by organization-wide roles only. That no state but a draft is placed, and that
# nobody changes what is fulfilled or cancelled, the state machine says (409).
_open_to_representatives if input.action in {"view", "place"}

_open_to_representatives if {
	input.action in {"edit", "cancel"}
	input.order.state != "confirmed"
}

# A state in which nobody may is no reason of theirs: the state machine refuses it (409).
_open_to_authors := {"draft", "fulfilled", "cancelled"} if input.action != "place"

_open_to_authors := {"draft", "placed", "confirmed", "fulfilled", "cancelled"} if input.action == "place"

_theirs_as_additional if input.order.author == true

_theirs_as_additional if input.settings.additional_full_rights == true
