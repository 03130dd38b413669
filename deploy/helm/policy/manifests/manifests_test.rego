# METADATA
# description: Manifests without a fault, and one planted fault after the other, which its rule finds and no other does.
package manifests_test

import data.manifests

_security := {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}

_resources := {
	"requests": {"cpu": "10m", "memory": "32Mi"},
	"limits": {"cpu": "1", "memory": "64Mi"},
}

_probes := {"startupProbe": {}, "livenessProbe": {}, "readinessProbe": {}}

_pod(component) := {
	"automountServiceAccountToken": false,
	"securityContext": {
		"runAsNonRoot": true,
		"runAsUser": 10001,
		"runAsGroup": 10001,
		"seccompProfile": {"type": "RuntimeDefault"},
	},
	"containers": [object.union(
		{"name": component, "image": "registry.example:5000/a:1", "securityContext": _security, "resources": _resources},
		_probes,
	)],
	"volumes": [{"name": "temporary", "emptyDir": {"sizeLimit": "1Mi"}}],
}

_deployment(component, pod) := {
	"kind": "Deployment",
	"metadata": {"name": component},
	"spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/component": component}}, "spec": pod}},
}

_engine := {
	"name": "opa",
	"image": "opa:1",
	"restartPolicy": "Always",
	"args": ["run", "--server", "--addr=unix:///run/opa/opa.sock", "--diagnostic-addr=0.0.0.0:8282"],
	"ports": [{"name": "opa-health", "containerPort": 8282}],
	"startupProbe": {},
	"livenessProbe": {},
	"securityContext": _security,
	"resources": _resources,
	"volumeMounts": [{"name": "opa-socket", "mountPath": "/run/opa"}],
}

_service_pod := json.patch(_pod("orders-api"), [
	{"op": "add", "path": "/initContainers", "value": [_engine]},
	{"op": "add", "path": "/containers/0/env", "value": [
		{"name": "BAILIWICK_POLICY_URL", "value": "unix:///run/opa/opa.sock"},
		{"name": "BAILIWICK_POLICY_REVISION", "value": "abc"},
		{"name": "BAILIWICK_DOOR_SECRET_FILE", "value": "/run/secrets/door"},
	]},
	{"op": "add", "path": "/containers/0/volumeMounts", "value": [{"name": "opa-socket", "mountPath": "/run/opa"}]},
	{"op": "add", "path": "/volumes/-", "value": {"name": "policy", "configMap": {"name": "policy-abc"}}},
])

_policy(component, rest) := {
	"kind": "NetworkPolicy",
	"metadata": {"name": component},
	"spec": object.union({"podSelector": {"matchLabels": {"app.kubernetes.io/component": component}}}, rest),
}

_within := {
	"policyTypes": ["Ingress", "Egress"],
	"ingress": [{"ports": [{"port": "http"}], "from": [{"podSelector": {}}]}],
	"egress": [{"ports": [{"port": 5432}]}],
}

_good := [
	_deployment("orders-api", _service_pod),
	_deployment("gateway", _pod("gateway")),
	object.union(_deployment("orders-migrate", _pod("orders-migrate")), {"kind": "Job"}),
	{"kind": "ConfigMap", "metadata": {"name": "policy-abc"}, "immutable": true},
	{"kind": "ServiceAccount", "metadata": {"name": "orders"}, "automountServiceAccountToken": false},
	{"kind": "Service", "metadata": {"name": "orders"}, "spec": {
		"selector": {"app.kubernetes.io/component": "orders-api"},
		"ports": [{"port": 8080, "targetPort": "http"}],
	}},
	_policy("orders-api", _within),
	_policy("orders-migrate", _within),
	_policy("gateway", object.union(_within, {"ingress": [{"ports": [{"port": "http"}]}]})),
	{"kind": "HTTPRoute", "metadata": {"name": "gateway"}, "spec": {"rules": [{"backendRefs": [{"name": "x-gateway"}]}]}},
	{"kind": "Ingress", "metadata": {"name": "gateway"}, "spec": {"rules": [{"http": {"paths": [
		{"backend": {"service": {"name": "x-gateway"}}},
	]}}]}},
]

_api := "/0/spec/template/spec"

_job := "/2/spec/template/spec"

_labels := "/0/spec/template/metadata/labels"

_planted := {
	"known-kind": {
		{"pods that no rule looks at": [{"op": "replace", "path": "/1/kind", "value": "StatefulSet"}]},
		{"now and then": [{"op": "add", "path": "/-", "value": {"kind": "CronJob", "metadata": {"name": "a"}}}]},
		{"a way in of another kind": [{"op": "add", "path": "/-", "value": {"kind": "TCPRoute", "metadata": {"name": "a"}}}]},
	},
	"opa-beside": {
		{"no label": [
			{"op": "remove", "path": _labels},
			{"op": "replace", "path": concat("", [_api, "/initContainers"]), "value": []},
			{"op": "replace", "path": "/6/spec/podSelector", "value": {}},
		]},
		{"another is asked": [{"op": "replace", "path": concat("", [_api, "/containers/0/env/0/value"]), "value": "http://opa.elsewhere:8181"}]},
		{"none is asked": [{"op": "remove", "path": concat("", [_api, "/containers/0/env/0"])}]},
		{"not the same socket": [{"op": "replace", "path": concat("", [_api, "/containers/0/volumeMounts/0/name"]), "value": "temporary"}]},
		{"no sidecar": [{"op": "replace", "path": concat("", [_api, "/initContainers"]), "value": []}]},
		{"over before the service starts": [{"op": "remove", "path": concat("", [_api, "/initContainers/0/restartPolicy"])}]},
	},
	"opa-alone": {
		{"listens to the network": [
			{"op": "replace", "path": concat("", [_api, "/initContainers/0/args/2"]), "value": "--addr=0.0.0.0:8181"},
			{"op": "replace", "path": concat("", [_api, "/containers/0/env/0/value"]), "value": "http://0.0.0.0:8181"},
		]},
		{"listens by default": [{"op": "remove", "path": concat("", [_api, "/initContainers/0/args/2"])}]},
		{"says it in two words": [{"op": "replace", "path": concat("", [_api, "/initContainers/0/args/2"]), "value": "--addr"}]},
		{"listens on a second address": [{"op": "add", "path": concat("", [_api, "/initContainers/0/args/-"]), "value": "--addr=:8181"}]},
		{"says it in short": [{"op": "add", "path": concat("", [_api, "/initContainers/0/args/-"]), "value": "-a=:8181"}]},
		{"says it elsewhere": [{"op": "add", "path": concat("", [_api, "/initContainers/0/command"]), "value": ["/opa", "--addr=:8181"]}]},
		{"has a Service": [{"op": "replace", "path": "/5/spec/ports/0/targetPort", "value": 8282}]},
		{"has a Service without more words": [{"op": "replace", "path": "/5/spec/ports/0", "value": {"port": 8282}}]},
	},
	"policy-pinned": {
		{"no revision": [{"op": "remove", "path": concat("", [_api, "/containers/0/env/1"])}]},
		{"another revision": [{"op": "replace", "path": concat("", [_api, "/containers/0/env/1/value"]), "value": "def"}]},
		{"may change": [{"op": "remove", "path": "/3/immutable"}]},
	},
	"no-root": {
		{"pod": [{"op": "remove", "path": concat("", [_api, "/securityContext/runAsNonRoot"])}]},
		{"user 0": [{"op": "replace", "path": concat("", [_job, "/securityContext/runAsUser"]), "value": 0}]},
		{"any system call": [{"op": "remove", "path": concat("", [_job, "/securityContext/seccompProfile"])}]},
		{"container": [{"op": "add", "path": concat("", [_api, "/containers/0/securityContext/runAsUser"]), "value": 0}]},
		{"sidecar": [{"op": "add", "path": concat("", [_api, "/initContainers/0/securityContext/privileged"]), "value": true}]},
		{"unguarded": [{"op": "add", "path": concat("", [_api, "/containers/0/securityContext/appArmorProfile"]), "value": {"type": "Unconfined"}}]},
		{"unguarded pod": [{"op": "add", "path": concat("", [_job, "/securityContext/seLinuxOptions"]), "value": {"user": "a"}}]},
		{"group 0": [{"op": "add", "path": concat("", [_job, "/securityContext/supplementalGroups"]), "value": [0]}]},
		{"files of group 0": [{"op": "add", "path": concat("", [_job, "/securityContext/fsGroup"]), "value": 0}]},
	},
	"no-privileges": {
		{"gains": [{"op": "remove", "path": concat("", [_api, "/containers/0/securityContext/allowPrivilegeEscalation"])}]},
		{"has": [{"op": "add", "path": concat("", [_job, "/containers/0/securityContext/capabilities/add"]), "value": ["NET_ADMIN"]}]},
		{"network": [{"op": "add", "path": concat("", [_api, "/hostNetwork"]), "value": true}]},
		{"port": [{"op": "add", "path": concat("", [_api, "/containers/0/ports"]), "value": [{"containerPort": 8000, "hostPort": 8000}]}]},
		{"processes": [{"op": "add", "path": concat("", [_api, "/shareProcessNamespace"]), "value": true}]},
		{"visitor": [{"op": "add", "path": concat("", [_job, "/ephemeralContainers"]), "value": [{"name": "debug", "image": "a:1", "securityContext": {"readOnlyRootFilesystem": true}, "resources": _resources}]}]},
		{"network disk": [{"op": "add", "path": concat("", [_job, "/volumes/-"]), "value": {"name": "disk", "nfs": {"server": "a", "path": "/"}}}]},
		{"disk": [{"op": "add", "path": concat("", [_api, "/volumes/-"]), "value": {"name": "disk", "hostPath": {"path": "/"}}}]},
	},
	"read-only-root": {
		{"writes": [{"op": "replace", "path": concat("", [_api, "/initContainers/0/securityContext/readOnlyRootFilesystem"]), "value": false}]},
		{"fills": [{"op": "remove", "path": concat("", [_job, "/volumes/0/emptyDir/sizeLimit"])}]},
	},
	"limits": {
		{"none": [{"op": "remove", "path": concat("", [_job, "/containers/0/resources"])}]},
		{"no memory": [{"op": "remove", "path": concat("", [_api, "/initContainers/0/resources/limits/memory"])}]},
	},
	"probes": {
		{"service": [{"op": "remove", "path": concat("", [_api, "/containers/0/readinessProbe"])}]},
		{"sidecar": [{"op": "remove", "path": concat("", [_api, "/initContainers/0/livenessProbe"])}]},
	},
	"no-token": {
		{"pod": [{"op": "remove", "path": concat("", [_job, "/automountServiceAccountToken"])}]},
		{"a file": [{"op": "add", "path": concat("", [_job, "/volumes/-"]), "value": {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}}]},
		{"account": [{"op": "replace", "path": "/4/automountServiceAccountToken", "value": true}]},
		{"rights": [{"op": "add", "path": "/-", "value": {"kind": "RoleBinding", "metadata": {"name": "a"}}}]},
	},
	"named-image": {
		{"latest": [{"op": "replace", "path": concat("", [_api, "/initContainers/0/image"]), "value": "opa:latest"}]},
		{"none": [{"op": "replace", "path": concat("", [_job, "/containers/0/image"]), "value": "registry.example:5000/a"}]},
	},
	"no-secret": {
		{"a Secret": [{"op": "add", "path": "/-", "value": {"kind": "Secret", "metadata": {"name": "a"}}}]},
		{"a variable": [{"op": "replace", "path": concat("", [_api, "/containers/0/env/2"]), "value": {"name": "BAILIWICK_DOOR_SECRET", "value": "s3cret"}}]},
		{"a variable that looks like a path": [{"op": "replace", "path": concat("", [_api, "/containers/0/env/2"]), "value": {"name": "BAILIWICK_DOOR_SECRET", "value": "/9j4AAQSkZJRg"}}]},
		{"an argument": [{"op": "add", "path": concat("", [_job, "/containers/0/args"]), "value": ["migrate", "--password=s3cret"]}]},
		{"an address": [{"op": "add", "path": "/3/data", "value": {"a": "amqp://u:p@host"}}]},
		{"a key": [{"op": "add", "path": "/3/data", "value": {"a": "-----BEGIN PRIVATE KEY-----"}}]},
		{"a JWK": [{"op": "add", "path": "/3/data", "value": {"a": `{"kty": "EC", "d": "x"}`}}]},
	},
	"network": {
		{"uncovered": [{"op": "replace", "path": "/7/spec/podSelector/matchLabels/app.kubernetes.io~1component", "value": "x"}]},
		{"one way": [{"op": "replace", "path": "/7/spec/policyTypes", "value": ["Ingress"]}]},
		{"anybody": [{"op": "remove", "path": "/6/spec/ingress/0/from"}]},
		{"any namespace": [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": {"namespaceSelector": {}}}]},
		{"any namespace, any pod": [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": {"namespaceSelector": {}, "podSelector": {}}}]},
		{"any namespace, by no labels": [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": {"namespaceSelector": {"matchLabels": {}}}}]},
		{"any namespace, by no expressions": [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": {"namespaceSelector": {"matchExpressions": []}}}]},
		{"the whole internet": [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": {"ipBlock": {"cidr": "::/0"}}}]},
		{"any port": [{"op": "replace", "path": "/6/spec/ingress/0/ports", "value": []}]},
		{"anywhere": [{"op": "remove", "path": "/6/spec/egress/0/ports"}]},
		{"anywhere, by an empty list": [{"op": "replace", "path": "/6/spec/egress/0/ports", "value": []}]},
		{"anywhere, by the protocol": [{"op": "replace", "path": "/6/spec/egress/0/ports/0", "value": {"protocol": "TCP"}}]},
		{"anywhere, by a range": [{"op": "replace", "path": "/6/spec/egress/0/ports/0", "value": {"port": 1, "endPort": 65535}}]},
		{"past the gateway": [{"op": "replace", "path": "/9/spec/rules/0/backendRefs/0/name", "value": "x-orders"}]},
		{"past it by Ingress": [{"op": "replace", "path": "/10/spec/rules/0/http/paths/0/backend/service/name", "value": "x-orders"}]},
		{"past it where nothing fits": [{"op": "add", "path": "/10/spec/defaultBackend", "value": {"service": {"name": "x-orders"}}}]},
		{"past it, copied": [{"op": "add", "path": "/9/spec/rules/0/filters", "value": [{"requestMirror": {"backendRef": {"name": "x-orders"}}}]}]},
		{"open to all pods": [
			{"op": "add", "path": "/5/spec/type", "value": "LoadBalancer"},
			{"op": "replace", "path": "/5/spec/selector", "value": {}},
		]},
		{"open by its address": [{"op": "add", "path": "/5/spec/externalIPs", "value": ["192.0.2.1"]}]},
		{"open": [{"op": "add", "path": "/5/spec/type", "value": "LoadBalancer"}]},
	},
}

_found(manifests) := {rule | some rule, faults in data.manifests.faults with input as manifests; count(faults) > 0}

test_good_manifests_have_no_fault if _found(_good) == set()

test_every_rule_can_fail if object.keys(manifests.faults) == object.keys(_planted) with input as _good

test_planted_fault_is_found_by_its_rule_alone if {
	missed := {[rule, name] |
		some rule, cases in _planted
		some case in cases
		some name, patch in case
		not _finds(rule, patch)
	}
	print(missed)
	missed == set()
}

# A patch that does not fit makes this undefined, and so missed.
_finds(rule, patch) if _found(json.patch(_good, patch)) == {rule}

test_loopback_is_within_the_pod if {
	every address in {"localhost:8181", "127.0.0.1:8181", "[::1]:8181"} {
		argument := sprintf("--addr=%s", [address])
		asked := sprintf("http://%s", [address])
		patch := [
			{"op": "replace", "path": concat("", [_api, "/initContainers/0/args/2"]), "value": argument},
			{"op": "replace", "path": concat("", [_api, "/containers/0/env/0/value"]), "value": asked},
		]
		_found(json.patch(_good, patch)) == set()
	}
}

test_peers_that_either_selector_chooses_are_somebody if {
	every selector in {{"matchLabels": {"a": "b"}}, {"matchExpressions": [{"key": "a", "operator": "Exists"}]}} {
		every peer in {{"namespaceSelector": selector}, {"namespaceSelector": {}, "podSelector": selector}} {
			patch := [{"op": "replace", "path": "/6/spec/ingress/0/from/0", "value": peer}]
			_found(json.patch(_good, patch)) == set()
		}
	}
}
