package manifests

import data.manifests.parts

faults["no-secret"] contains sprintf("Secret %s is in the release", [one.metadata.name]) if {
	some one in input
	one.kind == "Secret"
}

faults["no-secret"] contains sprintf("%s shows %s", [container.name, variable.name]) if {
	some container in parts.containers
	some variable in container.says.env
	_is_secret(variable)
}

faults["no-secret"] contains sprintf("%s shows a secret among its arguments", [container.name]) if {
	some container in parts.containers
	some field in {"command", "args"}
	some word in container.says[field]
	regex.match(`(?i)(secret|passw(or)?d|token)[^/]*=.`, word)
}

faults["no-secret"] contains sprintf("%s %s shows a password in an address", [one.kind, one.metadata.name]) if {
	some one in input
	walk(one, [_, text])
	is_string(text)
	regex.match(`://[^/@\s]*:[^/@\s]+@`, text)
}

faults["no-secret"] contains sprintf("%s %s shows a private key", [one.kind, one.metadata.name]) if {
	some one in input
	walk(one, [_, text])
	is_string(text)
	regex.match(`PRIVATE KEY-----|"d"\s*:\s*"`, text)
}

# By a file or a reference it is told, and not shown.
_is_secret(variable) if {
	regex.match(`(SECRET|PASSWORD|TOKEN|HEADERS|_KEY|_KEYS|SMTP_URL|BROKER_URL|DATABASE_\w+_URL)$`, variable.name)
	not regex.match(`^/run(/[-a-z]+)+$`, object.get(variable, "value", "/run/secrets"))
}
