# METADATA
# title: Parts of manifests
# description: What the rules ask for again and again. The input is the list of manifests that one release renders.
package manifests.parts

# METADATA
# description: Kinds that the rules look into, or refuse by a rule of their own; what is of another kind could hide anything.
kinds := {
	"ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy",
	"PodDisruptionBudget", "PrometheusRule", "Secret", "Service", "ServiceAccount", "ServiceMonitor",
} | rights

# METADATA
# description: Kinds that give rights in the cluster.
rights := {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}

# METADATA
# description: Pods, as whatever makes them says.
pods contains {
	"name": sprintf("%s %s", [one.kind, one.metadata.name]),
	"kind": one.kind,
	"labels": object.get(one.spec.template, ["metadata", "labels"], {}),
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
	not pod.labels["app.kubernetes.io/component"] == "gateway"
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
	some field in {"initContainers", "containers", "ephemeralContainers"}
	some container in pod.spec[field]
}

# METADATA
# description: The policy engine of each service's pod, by the pod's name.
engines[pod.name] := container if {
	some pod in service_pods
	some container in pod.spec.initContainers
	container.name == "opa"
}
