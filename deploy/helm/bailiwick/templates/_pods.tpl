{{- /* What pods have in common: who they run as, what is mounted, where they run; and the OPA beside a service. */ -}}

{{- define "bailiwick.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "bailiwick.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Labels and annotations of a pod: (dict "root" $ "component" … "annotations" dict). */ -}}
{{- define "bailiwick.podMetadata" -}}
labels:
  {{- include "bailiwick.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: bailiwick
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The beginning of a pod's specification: (dict "root" $ "account" "orders"); no account, no more rights. */ -}}
{{- define "bailiwick.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .account }}
serviceAccountName: {{ include "bailiwick.fullname" $.root }}-{{ . }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "bailiwick.podSecurity" . | nindent 2 }}
{{- range $field := list "priorityClassName" "nodeSelector" "tolerations" "affinity" }}
{{- with index $.root.Values $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* (dict "root" $ "component" "orders-api"). */ -}}
{{- define "bailiwick.spread" -}}
{{- with .root.Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $labels := include "bailiwick.selector" $ | fromYaml }}
  {{- toYaml (list (merge (dict "labelSelector" (dict "matchLabels" $labels)) .)) | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* The mounts of a process of a service; the volumes are below. */ -}}
{{- define "bailiwick.mounts" -}}
- {name: secrets, mountPath: /run/bailiwick/secrets, readOnly: true}
- {name: temporary, mountPath: /tmp}
{{- if ne .process "migrate" }}
- {name: opa-socket, mountPath: /run/opa}
{{- end }}
{{- with .root.Values.tls.authority }}
{{- if or .configMap .secret }}
- {name: trust, mountPath: /run/bailiwick/trust, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "bailiwick.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range include "bailiwick.secrets" . | fromYamlArray }}
      - secret:
          name: {{ .secret | quote }}
          items: [{key: {{ .key | quote }}, path: {{ include "bailiwick.secretFile" .setting }}}]
      {{- end }}
- name: temporary
  emptyDir: {sizeLimit: {{ .temporarySize }}}
{{- with .root.Values.tls.authority }}
{{- if .configMap }}
- name: trust
  configMap: {name: {{ .configMap | quote }}, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
{{- else if .secret }}
- name: trust
  secret: {secretName: {{ .secret | quote }}, defaultMode: 0440, items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]}
{{- end }}
{{- end }}
{{- if ne .process "migrate" }}
{{ include "bailiwick.opaVolumes" .root }}
{{- end }}
{{- end -}}

{{- /* A native sidecar: it is there before the service starts, and until it has ended. */ -}}
{{- define "bailiwick.opa" -}}
{{- $opa := .Values.opa -}}
- name: opa
  image: {{ $opa.image.repository }}:{{ $opa.image.tag }}{{ with $opa.image.digest }}@{{ . }}{{ end }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args:
    - run
    - --server
    # The service alone is answered; the other address tells health and metrics, and no decisions.
    - --addr=unix:///run/opa/opa.sock
    - --diagnostic-addr={{ .Values.bindAddress }}:8282
    - --config-file=/etc/opa/config.yaml
    - --log-level=error
    - --skip-version-check
    - /etc/opa/decision_log_mask.rego
  env:
    # Measured beside a service on one processor: fewer collections, quicker decisions.
    - {name: GOMAXPROCS, value: "1"}
    - {name: GOGC, value: "400"}
    - {name: GOMEMLIMIT, value: 48MiB}
  ports:
    - {name: opa-health, containerPort: 8282}
  # The chart's own policy is there at once. For another's server a pod waits, unready: the service's readiness
  # asks for the revision.
  startupProbe:
    httpGet: {path: {{ ternary "/health" "/health?bundles" (ne .Values.policy.remote.url "") | quote }}, port: opa-health}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /health, port: opa-health}
    periodSeconds: 10
    timeoutSeconds: 3
  securityContext:
    {{- include "bailiwick.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $opa.resources | nindent 4 }}
  volumeMounts:
    - {name: opa-socket, mountPath: /run/opa}
    - {name: opa, mountPath: /etc/opa, readOnly: true}
    {{- if not .Values.policy.remote.url }}
    - {name: policy, mountPath: /policy, readOnly: true}
    {{- else if .Values.policy.remote.token.name }}
    - {name: policy-token, mountPath: /run/policy, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "bailiwick.opaVolumes" -}}
- name: opa-socket
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: opa
  configMap: {name: {{ include "bailiwick.fullname" . }}-opa}
{{- if not .Values.policy.remote.url }}
- name: policy
  configMap: {name: {{ include "bailiwick.fullname" . }}-policy-{{ include "bailiwick.revision" . }}}
{{- else if .Values.policy.remote.token.name }}
- name: policy-token
  secret:
    secretName: {{ .Values.policy.remote.token.name | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.policy.remote.token.key | quote }}, path: token}]
{{- end }}
{{- end -}}
