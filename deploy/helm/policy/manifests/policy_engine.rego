# METADATA
# title: Rules about manifests
# description: What must hold of everything that the chart renders. Each rule is a set of faults; all are empty.
package manifests

import data.manifests.parts

faults["opa-beside"] contains sprintf("%s has no OPA beside it, before it and until its end", [pod.name]) if {
	some pod in parts.service_pods
	not _is_beside(pod)
}

_is_beside(pod) if {
	engine := parts.engines[pod.name]
	engine.restartPolicy == "Always"
	engine.startupProbe
}

faults["opa-alone"] contains sprintf("%s: its OPA answers others too: %s", [name, argument]) if {
	some name, engine in parts.engines
	some argument in engine.args
	startswith(argument, "--addr")
	not _is_within_pod(argument)
}

faults["opa-alone"] contains sprintf("%s: its OPA listens on what it likes", [name]) if {
	some name, engine in parts.engines
	count([argument | some argument in engine.args; startswith(argument, "--addr=")]) != 1
}

faults["opa-alone"] contains sprintf("Service %s leads to an OPA", [one.metadata.name]) if {
	some one in input
	one.kind == "Service"
	some port in one.spec.ports
	port.targetPort in _ports_of_engines
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
