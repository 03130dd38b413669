# METADATA
# title: The caller
# description: |-
#   What the caller may do before any row is looked at. Who may do what is data: capabilities/data.yaml.
package bailiwick.subject

import data.bailiwick.capabilities

# METADATA
# description: Whether the caller may do this at all, to whatever row.
may(resource, action) if {
	_in_force
	granted[resource][action]
}

# METADATA
# description: Whether the caller's right to do this reaches so far (all, portfolio, own or own_drafts).
reaches(resource, action, extent) if {
	_in_force
	extent in granted[resource][action]
}

# METADATA
# description: Why the caller may not do this to any row at all; the empty set where they may.
refusals(resource, action) := _missing(resource, action) | _not_in_force

# METADATA
# description: What the matrix gives the caller, a set of extents each, whether or not the membership is in force.
granted[resource][action] contains extent if {
	some gives in _cells
	some resource, actions in gives
	some action, extent in actions
}

_cells contains _role.gives

# Ticks count for roles that the matrix says have them.
_cells contains _role.gives_by_tick[column][level] if some column, level in input.subject.ticks

_cells contains capabilities.permissions.seller_only if _permissions == {"seller"}

# V13: anything beside seller ends the restriction to the portfolio.
_cells contains entry.gives if {
	_permissions != {"seller"}
	some entry in capabilities.permissions.any_other
	every permission in entry.holding {
		permission in _permissions
	}
}

_cells contains capabilities.services.storefront if input.subject.kind == "service"

_role := capabilities.roles[input.subject.role] if {
	input.subject.kind == "member"
	input.subject.mode == "role"
}

# A name that nobody knows is not "more" than seller.
_permissions := {permission |
	input.subject.kind == "member"
	input.subject.mode == "permissions"
	some permission in input.subject.permissions
	permission in capabilities.permissions.known
}

_in_force if {
	input.subject.status == "active"
	input.subject.expired == false
}

_not_in_force contains "account-inactive" if input.subject.status != "active"

_not_in_force contains "membership-expired" if input.subject.expired

_missing(resource, action) := set() if granted[resource][action]

_missing(resource, action) := {"custom-ceiling"} if _is_above_ceiling(resource, action)

_missing(resource, action) := {"capability-missing"} if {
	not granted[resource][action]
	not _is_above_ceiling(resource, action)
}

_is_above_ceiling(resource, action) if action in _role.never[resource]
