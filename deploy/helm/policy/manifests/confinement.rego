package manifests

import data.manifests.parts

faults["no-root"] contains sprintf("%s may run as root", [pod.name]) if {
	some pod in parts.pods
	not _is_somebody(pod.spec.securityContext)
}

faults["no-root"] contains sprintf("%s says otherwise", [container.name]) if {
	some container in parts.containers
	some field in ({"runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "privileged", "procMount"} | _guards)
	field in object.keys(container.says.securityContext)
}

faults["no-root"] contains sprintf("%s says how it is guarded: %s", [pod.name, field]) if {
	some pod in parts.pods
	some field in _guards
	field in object.keys(pod.spec.securityContext)
}

faults["no-root"] contains sprintf("%s is of root's group", [pod.name]) if {
	some pod in parts.pods
	0 in ({object.get(pod.spec.securityContext, "fsGroup", 1)} | {group | some group in pod.spec.securityContext.supplementalGroups})
}

# What the node does of itself is better than what could be said.
_guards := {"appArmorProfile", "seLinuxOptions", "sysctls", "windowsOptions"}

_is_somebody(context) if {
	context.runAsNonRoot == true
	context.runAsUser > 9999
	context.runAsGroup > 9999
	context.seccompProfile.type == "RuntimeDefault"
}

faults["no-privileges"] contains sprintf("%s may gain privileges", [container.name]) if {
	some container in parts.containers
	not _has_none(container.says.securityContext)
}

faults["no-privileges"] contains sprintf("%s reaches into its node: %s", [pod.name, field]) if {
	some pod in parts.pods
	some field in {"hostNetwork", "hostPID", "hostIPC"}
	pod.spec[field]
}

faults["no-privileges"] contains sprintf("%s: its containers reach into each other", [pod.name]) if {
	some pod in parts.pods
	pod.spec.shareProcessNamespace
}

faults["no-privileges"] contains sprintf("%s takes a port of its node: %v", [container.name, port.hostPort]) if {
	some container in parts.containers
	some port in container.says.ports
	port.hostPort
}

faults["no-privileges"] contains sprintf("%s mounts what is no part of it: %s", [pod.name, volume.name]) if {
	some pod in parts.pods
	some volume in pod.spec.volumes
	object.keys(volume) - {"name", "configMap", "emptyDir", "projected", "secret"} != set()
}

_has_none(context) if {
	context.allowPrivilegeEscalation == false
	context.capabilities == {"drop": ["ALL"]}
}

faults["read-only-root"] contains sprintf("%s may write to its root", [container.name]) if {
	some container in parts.containers
	not container.says.securityContext.readOnlyRootFilesystem == true
}

faults["read-only-root"] contains sprintf("%s may fill its node: %s", [pod.name, volume.name]) if {
	some pod in parts.pods
	some volume in pod.spec.volumes
	"emptyDir" in object.keys(volume)
	not volume.emptyDir.sizeLimit
}

faults.limits contains sprintf("%s has no %s of %s", [container.name, trim_suffix(which, "s"), what]) if {
	some container in parts.containers
	some which in {"requests", "limits"}
	some what in {"cpu", "memory"}
	not container.says.resources[which][what]
}

faults.probes contains sprintf("%s has no %s", [container.name, probe]) if {
	some container in parts.containers
	container.kind == "Deployment"
	some probe in ({"startupProbe", "livenessProbe", "readinessProbe"} - _unasked(container))
	not container.says[probe]
}

# The service's own readiness asks its sidecar.
_unasked(container) := {"readinessProbe"} if container.is_sidecar

_unasked(container) := set() if not container.is_sidecar

faults["no-token"] contains sprintf("%s is given a token of the cluster", [pod.name]) if {
	some pod in parts.pods
	not pod.spec.automountServiceAccountToken == false
}

faults["no-token"] contains sprintf("%s mounts a token of the cluster: %s", [pod.name, volume.name]) if {
	some pod in parts.pods
	some volume in pod.spec.volumes
	some source in volume.projected.sources
	source.serviceAccountToken
}

faults["no-token"] contains sprintf("ServiceAccount %s gives tokens", [one.metadata.name]) if {
	some one in input
	one.kind == "ServiceAccount"
	not one.automountServiceAccountToken == false
}

faults["no-token"] contains sprintf("%s %s gives rights in the cluster", [one.kind, one.metadata.name]) if {
	some one in input
	one.kind in parts.rights
}

faults["named-image"] contains sprintf("%s: %s may be another image tomorrow", [container.name, container.says.image]) if {
	some container in parts.containers
	not regex.match(`(:[^:/@]+|@sha256:[0-9a-f]{64})$`, container.says.image)
}

faults["named-image"] contains sprintf("%s: %s may be another image tomorrow", [container.name, container.says.image]) if {
	some container in parts.containers
	regex.match(`:latest(@|$)`, container.says.image)
}
