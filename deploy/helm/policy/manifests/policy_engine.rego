# METADATA
# title: Rules about manifests
# description: What must hold of everything that the chart renders. Each rule is a set of faults; all are empty.
package manifests

import data.manifests.parts

faults["known-kind"] contains sprintf("%s %s: no rule knows what is in it", [one.kind, one.metadata.name]) if {
	some one in input
	not one.kind in parts.kinds
}

faults["opa-beside"] contains sprintf("%s has no OPA beside it, before it and until its end", [pod.name]) if {
	some pod in parts.service_pods
	not _is_beside(pod)
}

_is_beside(pod) if {
	engine := parts.engines[pod.name]
	engine.restartPolicy == "Always"
	engine.startupProbe
}

faults["opa-beside"] contains sprintf("%s asks another policy than the one beside it", [pod.name]) if {
	some pod in parts.service_pods
	engine := parts.engines[pod.name]
	count(_addresses(engine)) > 0
	some container in pod.spec.containers
	not _asks(container, engine)
}

_asks(container, engine) if {
	some variable in container.env
	variable.name == "BAILIWICK_POLICY_URL"
	trim_prefix(variable.value, "http://") in _addresses(engine)
	_shares_socket(container, engine, variable.value)
}

_addresses(engine) := {trim_prefix(word, "--addr=") | some word in _words(engine); startswith(word, "--addr=")}

_shares_socket(_, _, url) if not startswith(url, "unix://")

_shares_socket(container, engine, url) if {
	some mount in engine.volumeMounts
	startswith(url, sprintf("unix://%s/", [mount.mountPath]))
	some own in container.volumeMounts
	own.mountPath == mount.mountPath
	own.name == mount.name
}

_words(engine) := array.concat(object.get(engine, "command", []), object.get(engine, "args", []))

faults["opa-alone"] contains sprintf("%s: its OPA answers others too: %s", [name, word]) if {
	some name, engine in parts.engines
	some word in _words(engine)
	startswith(word, "--addr")
	not _is_within_pod(word)
}

faults["opa-alone"] contains sprintf("%s: its OPA listens on what it likes", [name]) if {
	some name, engine in parts.engines
	count([word | some word in _words(engine); startswith(word, "--addr=")]) != 1
}

# `-a` is `--addr`, and may stand among other letters.
faults["opa-alone"] contains sprintf("%s: its OPA is told in short: %s", [name, word]) if {
	some name, engine in parts.engines
	some word in _words(engine)
	regex.match(`^-[^-]`, word)
}

faults["opa-alone"] contains sprintf("Service %s leads to an OPA", [one.metadata.name]) if {
	some one in input
	one.kind == "Service"
	some port in one.spec.ports
	object.get(port, "targetPort", port.port) in _ports_of_engines
}

_is_within_pod(argument) if startswith(argument, "--addr=unix://")

_is_within_pod(argument) if startswith(argument, "--addr=localhost:")

_is_within_pod(argument) if startswith(argument, "--addr=127.0.0.1:")

_is_within_pod(argument) if startswith(argument, "--addr=[::1]:")

_ports_of_engines contains port[field] if {
	some engine in parts.engines
	some port in engine.ports
	some field in {"name", "containerPort"}
}

faults["policy-pinned"] contains sprintf("%s takes any revision of the policy", [container.name]) if {
	some container in parts.containers
	container.kind == "Deployment"
	some variable in container.says.env
	variable.name == "BAILIWICK_POLICY_URL"
	not _revision(container.says)
}

faults["policy-pinned"] contains sprintf("%s mounts another policy than it expects", [pod.name]) if {
	some pod in parts.service_pods
	some volume in pod.spec.volumes
	volume.name == "policy"
	some container in pod.spec.containers
	not endswith(volume.configMap.name, sprintf("-%s", [_revision(container)]))
}

faults["policy-pinned"] contains sprintf("%s mounts a policy that is not there", [pod.name]) if {
	some pod in parts.service_pods
	some volume in pod.spec.volumes
	volume.name == "policy"
	not volume.configMap.name in {one.metadata.name | some one in input; one.kind == "ConfigMap"; one.immutable == true}
}

_revision(container) := variable.value if {
	some variable in container.env
	variable.name == "BAILIWICK_POLICY_REVISION"
	variable.value != ""
}
