# METADATA
# title: What a decision log may say
# description: Whatever is not known to be neither secret nor personal is left out, so that nobody who asks more tells more.
package system.log

# METADATA
# description: Probes ask which revision answers, every few seconds; nobody wants to read that.
drop if input.path == "bailiwick/sentinel/revision"

# METADATA
# description: Facts that a question has, as policy/schemas/input.json lists them.
_known := {
	"subject": {
		"org_id", "member_id", "kind", "mode", "role", "permissions", "ticks", "collections", "status", "expired",
	},
	"settings": {
		"assignment_model",
		"creator_keeps_access",
		"rep_customers_need_approval",
		"author_keeps_order_view",
		"additional_full_rights",
		"notify_additional",
	},
	"customer": {"org_id", "main", "additional", "author", "cover", "status", "relation_state"},
	"order": {"org_id", "main", "additional", "author", "author_keeps_view", "cover", "state", "relation_state"},
	"member": {"org_id", "above"},
	"organization": {"org_id"},
	"delivery": {"org_id", "recipient", "state"},
	"preference": {"org_id", "recipient"},
}

# METADATA
# description: Parts of a question that are not known, with all that is in them.
mask contains sprintf("/input/%s", [part]) if {
	some part, _ in input.input
	not part in (object.keys(_known) | {"action"})
}

# METADATA
# description: Facts within a known part that are not known.
mask contains sprintf("/input/%s/%s", [part, fact]) if {
	some part, known in _known
	some fact, _ in input.input[part]
	not fact in known
}
