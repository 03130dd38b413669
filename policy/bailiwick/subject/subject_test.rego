package bailiwick.subject_test

import data.bailiwick.capabilities
import data.bailiwick.subject
import data.bailiwick.tables_test as tables

test_what_a_membership_does_not_say_is_not_in_force[missing] if {
	some missing in ["status", "expired", "kind", "mode", "role"]
	whole := tables.document({"who": "mia", "does": "view"})
	document := object.union(
		object.remove(whole, ["subject"]),
		{"subject": object.remove(whole.subject, [missing])},
	)
	subject.reach("orders", "view") == set() with input as document
}

test_rights_of_another_mode_do_not_count if {
	both := {"role": "brand_manager", "permissions": ["seller"]}
	not _may("orders", "confirm", object.union(both, {"mode": "permissions"}))
	not _may("orders", "view", {"role": "custom_member", "mode": "role", "permissions": ["orders"]})
	not _may("customers", "approve", {"role": "brand_manager", "kind": "service"})
	not _may("orders", "edit", {"mode": "permissions", "permissions": ["orders"], "kind": "service"})
}

test_ticks_count_for_custom_members_only if {
	not _may("customers", "view", {"role": "sales_assistant", "ticks": {"customers": "edit"}})
	_may("customers", "view", {"role": "custom_member", "ticks": {"customers": "view"}})
}

test_no_role_gives_what_it_never_gives[role] if {
	some role, row in capabilities.roles
	every resource, actions in object.get(row, "never", {}) {
		every action in actions {
			not row.gives[resource][action]
			every _, levels in row.gives_by_tick {
				every _, gives in levels {
					not gives[resource][action]
				}
			}
		}
	}
}

test_every_permission_in_the_matrix_is_known if {
	every entry in capabilities.permissions.any_other {
		every permission in entry.holding {
			permission in capabilities.permissions.known
		}
	}
}

_may(resource, action, but) if {
	document := tables.document({"who": "nothing", "does": action, "but": object.union({"mode": "role"}, but)})
	reach := subject.reach(resource, action) with input as document
	count(reach) > 0
}
