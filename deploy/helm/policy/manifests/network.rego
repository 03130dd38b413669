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

faults.network contains sprintf("NetworkPolicy %s opens ports that it does not name", [one.metadata.name]) if {
	some one in input
	one.kind == "NetworkPolicy"
	some direction in {"ingress", "egress"}
	some way in one.spec[direction]
	not _names_ports(way)
}

_names_ports(way) if {
	count(way.ports) > 0
	every port in way.ports {
		port.port
		not port.endPort
	}
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
	_is_open(one.spec)
	not one.spec.selector["app.kubernetes.io/component"] == "gateway"
}

_is_open(service) if object.get(service, "type", "ClusterIP") != "ClusterIP"

_is_open(service) if count(service.externalIPs) > 0

_is_the_gateway(policy) if policy.spec.podSelector.matchLabels["app.kubernetes.io/component"] == "gateway"

_names_somebody(way) if {
	count(way.from) > 0
	every peer in way.from {
		not _is_everybody(peer)
	}
}

# Every pod of the cluster, however it is spelt: without a namespaceSelector they are those of one namespace.
_is_everybody(peer) if {
	peer.namespaceSelector
	not _chooses(peer.namespaceSelector)
	not _chooses(object.get(peer, "podSelector", {}))
}

_is_everybody(peer) if endswith(peer.ipBlock.cidr, "/0")

_chooses(selector) if count(selector.matchLabels) > 0

_chooses(selector) if count(selector.matchExpressions) > 0

# Wherever a target stands: in a rule, in a filter that copies requests, where no rule fits.
_targets(route) := {backend.service.name |
	walk(route.spec, [path, backend])
	path[count(path) - 1] in {"backend", "defaultBackend"}
} if {
	route.kind == "Ingress"
}

_targets(route) := {backend.name |
	walk(route.spec, [path, backend])
	regex.match(`(^|/)(backendRef|backendRefs/[0-9]+)$`, concat("/", [sprintf("%v", [part]) | some part in path]))
} if {
	route.kind == "HTTPRoute"
}
