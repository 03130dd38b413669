# METADATA
# title: The caller
# description: |-
#   What the caller may do before any row is looked at. Who may do what is data: capabilities/data.yaml.
package bailiwick.subject

import data.bailiwick.capabilities

# METADATA
# description: |-
#   How far the caller's right to do this reaches: a set of all, portfolio, own and own_drafts. Empty: no right,
#   to whatever row.
reach(resource, action) := _granted(resource, action) if _in_force

reach(_, _) := set() if not _in_force

# METADATA
# description: Why the caller may not do this to any row at all; the empty set where they may.
refusals(resource, action) := {code |
	count(_granted(resource, action)) == 0
	code := _missing(resource, action)
} | _not_in_force

# What the matrix gives the caller, whether or not the membership is in force.
_granted(resource, action) := {gives[resource][action] | some gives in _cells}

_cells contains _role.gives

# Ticks count for roles that the matrix says have them.
_cells contains _role.gives_by_tick[column][level] if some column, level in input.subject.ticks

_cells contains capabilities.permissions.anything if count(_permissions) > 0

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
	some permission in input.subject.permissions
	permission in capabilities.permissions.known
} if {
	input.subject.kind == "member"
	input.subject.mode == "permissions"
}

_in_force if {
	input.subject.status == "active"
	input.subject.expired == false
}

_not_in_force contains "account-inactive" if input.subject.status != "active"

_not_in_force contains "membership-expired" if input.subject.expired

_missing(resource, action) := "custom-ceiling" if is_above_ceiling(resource, action)

_missing(resource, action) := "capability-missing" if not is_above_ceiling(resource, action)

# METADATA
# description: Whether this is never done by such a caller, whatever they are granted (L7).
is_above_ceiling(resource, action) if action in _role.never[resource]
