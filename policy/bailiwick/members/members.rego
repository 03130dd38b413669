# METADATA
# title: Members
# description: |-
#   Who may do what to members of the organization (V12, L1, L2). The matrix says who; a row has to be of the caller's
#   organization, and is changed only by who holds all that it does.
package bailiwick.members

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
	"reasons": reasons.sorted(subject.refusals("members", input.action) | _refusals),
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
# description: Whether the caller may do input.action to the member; as a filter, to which.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.member]
#   mask_rule: data.bailiwick.members.masks
default include := false

include if {
	"all" in _reach
	not _changes
	input.member.org_id == input.subject.org_id
}

include if {
	"all" in _reach
	_changes
	input.member.org_id == input.subject.org_id
	input.member.above == false
}

_changes if input.action in {"grant", "deactivate"}

_refusals contains "grant-not-held" if {
	_changes
	capable
	input.member.org_id == input.subject.org_id
	input.member.above == true
}

_reach := subject.reach("members", input.action)

# METADATA
# title: Masks
# description: Nothing is masked. A filter is told which revision made it.
# entrypoint: true
masks := {"revision": sentinel.revision}
