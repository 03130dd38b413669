# METADATA
# title: Parts of manifests
# description: What the rules ask for again and again. The input is the list of manifests that one release renders.
package manifests.parts

# METADATA
# description: Pods, as whatever makes them says.
pods contains {
	"name": sprintf("%s %s", [one.kind, one.metadata.name]),
	"kind": one.kind,
	"labels": one.spec.template.metadata.labels,
	"spec": one.spec.template.spec,
} if {
	some one in input
	one.kind in {"Deployment", "Job"}
}

# METADATA
# description: Pods that answer or work for a service, so all that go on running but the gateway's.
service_pods contains pod if {
	some pod in pods
	pod.kind == "Deployment"
	pod.labels["app.kubernetes.io/component"] != "gateway"
}

# METADATA
# description: Containers of all pods, sidecars among them.
containers contains {
	"name": sprintf("%s: %s", [pod.name, container.name]),
	"kind": pod.kind,
	"is_sidecar": container in object.get(pod.spec, "initContainers", []),
	"says": container,
} if {
	some pod in pods
	some container in array.concat(object.get(pod.spec, "initContainers", []), pod.spec.containers)
}

# METADATA
# description: The policy engine of each service's pod, by the pod's name.
engines[pod.name] := container if {
	some pod in service_pods
	some container in pod.spec.initContainers
	container.name == "opa"
}
