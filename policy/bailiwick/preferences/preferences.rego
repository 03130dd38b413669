# METADATA
# title: Preferences
# description: |-
#   Which mails a member wants (V7) is for that member to see and to say. A row says whether it is the caller's
#   (recipient).
package bailiwick.preferences

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
	"reasons": reasons.sorted(subject.refusals("preferences", input.action)),
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
# description: Whether the caller may do input.action to the preferences; as a filter, to whose.
# entrypoint: true
# scope: document
# compile:
#   unknowns: [input.preference]
#   mask_rule: data.bailiwick.preferences.masks
default include := false

include if {
	"own" in _reach
	input.preference.org_id == input.subject.org_id
	input.preference.recipient == true
}

_reach := subject.reach("preferences", input.action)

# METADATA
# title: Masks
# description: Nothing is masked. A filter is told which revision made it.
# entrypoint: true
masks := {"revision": sentinel.revision}
