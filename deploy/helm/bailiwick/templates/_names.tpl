{{- /* Names, labels and images. A component is orders-api, orders-worker, orders-migrate, … or gateway. */ -}}

{{- define "bailiwick.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "bailiwick" .Release.Name -}}
{{- include "bailiwick.release" . | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-bailiwick" (include "bailiwick.release" . | trunc 30 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- /* The release's name, if Services may begin with it (RFC 1035): refused here, before migrations run. */ -}}
{{- define "bailiwick.release" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "no Service may be called %s-…: set fullnameOverride" .Release.Name) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{- /* What holds of every object. */ -}}
{{- define "bailiwick.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: bailiwick
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "bailiwick.installation" . }}
{{- end -}}

{{- /* What all pods of this installation have, and nobody else's. */ -}}
{{- define "bailiwick.installation" -}}
app.kubernetes.io/name: bailiwick
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* What the pods of one component have: (dict "root" $ "component" "orders-api"). */ -}}
{{- define "bailiwick.selector" -}}
{{ include "bailiwick.installation" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* The metadata of an object of a component. */ -}}
{{- define "bailiwick.metadata" -}}
name: {{ include "bailiwick.fullname" .root }}-{{ .name | default .component }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "bailiwick.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* An image of ours: (dict "root" $ "name" "orders"). */ -}}
{{- define "bailiwick.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.prefix }}{{ .name }}:{{ $image.tag | default .root.Chart.AppVersion -}}
{{- with index $image.digests .name }}@{{ . }}{{ end -}}
{{- end -}}

{{- /* The services, in the direction of events. */ -}}
{{- define "bailiwick.services" -}}
identity customers orders reports notifier
{{- end -}}

{{- /* Those at whose change feeds a service asks (docs/adr/0002). */ -}}
{{- define "bailiwick.siblings" -}}
{{- if eq . "identity" }}{{ else if eq . "customers" }}identity{{ else }}identity customers{{ end -}}
{{- end -}}

{{- /* What a service's api or worker is told: (dict "root" $ "service" "orders" "process" "api"). */ -}}
{{- define "bailiwick.configuration" -}}
{{- $own := index .root.Values.services .service .process | default dict -}}
{{- mergeOverwrite (deepCopy (index .root.Values.defaults .process)) (deepCopy $own) | toYaml -}}
{{- end -}}

{{- /* The revision that decisions must come from. */ -}}
{{- define "bailiwick.revision" -}}
{{- $remote := .Values.policy.remote -}}
{{- if $remote.url }}{{ $remote.revision }}{{ else }}{{ .Files.Get "files/policy/revision" | trim }}{{ end -}}
{{- end -}}
