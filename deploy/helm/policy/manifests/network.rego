package manifests

import data.manifests.parts

faults.network contains sprintf("%s may be reached, or reach out, as it likes: no NetworkPolicy", [pod.name]) if {
	some pod in parts.pods
	some direction in {"Ingress", "Egress"}
	not direction in _directions(pod)
}

_directions(pod) := {direction |
	some one in input
	one.kind == "NetworkPolicy"
	_selects(one.spec.podSelector, pod.labels)
	some direction in one.spec.policyTypes
}

_selects(selector, labels) if {
	object.keys(selector) - {"matchLabels"} == set()
	every key, value in object.get(selector, "matchLabels", {}) {
		labels[key] == value
	}
}

faults.network contains sprintf("NetworkPolicy %s lets anybody to %v", [one.metadata.name, port.port]) if {
	some one in input
	one.kind == "NetworkPolicy"
	not _is_the_gateway(one)
	some way in one.spec.ingress
	not _names_somebody(way)
	some port in object.get(way, "ports", [{"port": "all ports"}])
}

faults.network contains sprintf("NetworkPolicy %s lets out to anywhere, at any port", [one.metadata.name]) if {
	some one in input
	one.kind == "NetworkPolicy"
	some way in one.spec.egress
	not way.ports
}

faults.network contains sprintf("%s %s leads past the gateway", [one.kind, one.metadata.name]) if {
	some one in input
	one.kind in {"Ingress", "HTTPRoute"}
	some target in _targets(one)
	not endswith(target, "-gateway")
}

faults.network contains sprintf("Service %s is open to the outside, and is not the gateway", [one.metadata.name]) if {
	some one in input
	one.kind == "Service"
	object.get(one.spec, "type", "ClusterIP") != "ClusterIP"
	one.spec.selector["app.kubernetes.io/component"] != "gateway"
}

_is_the_gateway(policy) if policy.spec.podSelector.matchLabels["app.kubernetes.io/component"] == "gateway"

_names_somebody(way) if count(way.from) > 0

_targets(route) := {path.backend.service.name | some path in route.spec.rules[_].http.paths} if route.kind == "Ingress"

_targets(route) := {backend.name | some backend in route.spec.rules[_].backendRefs} if route.kind == "HTTPRoute"
