# METADATA
# title: Tables
# description: How the decision tables in cases/ are read; cases/cast.yaml says it in words.
package bailiwick.tables_test

import data.cases.cast

# METADATA
# description: What policy is asked in a case.
document(case) := object.union(
	{
		"subject": object.union_n([cast.defaults.subject, cast.people[case.who], object.get(case, "but", {})]),
		"settings": object.union(cast.defaults.settings, object.get(case, "settings", {})),
		"action": case.does,
	},
	{name: object.union(cast.defaults[name], row) |
		some name in ["customer", "order", "member", "organization", "delivery", "preference"]
		row := case[name]
	},
)

# METADATA
# description: The answer and the reasons that a decision amounts to, in the order of answers of domain §4.
told(decision, document) := [answer, decision.reasons] if answer := _answer(decision, _asks_about_a_row(document))

# METADATA
# description: What the case says they should be.
expected(case) := [case.answer, object.get(case, "because", [])]

# METADATA
# description: A bundle as the engine shows it, for the revision in every decision.
bundles := {"bundle": {"manifest": {"revision": "tested"}}}

_asks_about_a_row(document) := count({name | some name in object.keys(document)} - {"subject", "settings", "action"}) > 0

_answer(decision, _) := "refused" if not decision.capable

_answer(decision, true) := "hidden" if {
	decision.capable
	not decision.visible
}

_answer(decision, true) := "refused" if {
	decision.capable
	decision.visible
	not decision.allow
}

_answer(decision, true) := "allowed" if decision.allow

_answer(decision, false) := "allowed" if decision.capable

# How many cases each table has at least.
_tables := {
	"customers": 100,
	"orders": 200,
	"reports": 70,
	"members": 40,
	"organizations": 20,
	"deliveries": 40,
	"preferences": 60,
}

# The tables are there: without this, a table that was not loaded would pass.
test_tables_are_loaded if {
	every table, least in _tables {
		count(data.cases[table]) >= least
	}
}

test_every_case_has_a_name_of_its_own if {
	every table, _ in _tables {
		count({case.case | some case in data.cases[table]}) == count(data.cases[table])
	}
}
