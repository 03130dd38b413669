{{- /* What a process is told, and nothing that it does not need (docs/configuration.md). */ -}}

{{- /*
The secrets of a process, as {setting, secret, key}: (dict "root" $ "service" "orders" "process" "api").
The change feeds of identity and customers read as the worker. Only migrations know the owner (D12).
*/ -}}
{{- define "bailiwick.secrets" -}}
{{- $secrets := .root.Values.secrets -}}
{{- $database := index $secrets.databases .service -}}
{{- $keys := $secrets.databaseKeys -}}
{{- $migrates := eq .process "migrate" -}}
{{- $serves := eq .process "api" -}}
{{- $works := eq .process "worker" -}}
{{- $all := list -}}
{{- if $migrates -}}
{{- $all = append $all (dict "setting" "DATABASE_OWNER_URL" "secret" $database "key" $keys.owner) -}}
{{- end -}}
{{- if or $serves $migrates -}}
{{- $all = append $all (dict "setting" "DATABASE_API_URL" "secret" $database "key" $keys.api) -}}
{{- end -}}
{{- if or $works $migrates (has .service (list "identity" "customers")) -}}
{{- $all = append $all (dict "setting" "DATABASE_WORKER_URL" "secret" $database "key" $keys.worker) -}}
{{- end -}}
{{- if or $works $migrates -}}
{{- $account := ternary "migrations" .service $migrates -}}
{{- $all = append $all (dict "setting" "BROKER_URL" "secret" $secrets.broker.name "key" (index $secrets.broker.keys $account)) -}}
{{- end -}}
{{- if or $serves (and $works (ne .service "identity")) -}}
{{- $all = append $all (dict "setting" "DOOR_SECRET" "secret" $secrets.services.name "key" $secrets.services.doorKey) -}}
{{- end -}}
{{- if and $serves (ne .service "reports") -}}
{{- $all = append $all (dict "setting" "CURSOR_SECRET" "secret" $secrets.services.name "key" $secrets.services.cursorKey) -}}
{{- end -}}
{{- if and $serves (eq .service "identity") -}}
{{- $all = append $all (dict "setting" "SIGNING_KEYS" "secret" $secrets.signingKeys.name "key" $secrets.signingKeys.key) -}}
{{- end -}}
{{- if and $works (eq .service "notifier") -}}
{{- $all = append $all (dict "setting" "SMTP_URL" "secret" $secrets.mail.name "key" $secrets.mail.key) -}}
{{- end -}}
{{- $all | toYaml -}}
{{- end -}}

{{- /* The file of a secret, by its setting. */ -}}
{{- define "bailiwick.secretFile" -}}
{{ . | lower | replace "_" "-" }}
{{- end -}}

{{- define "bailiwick.environment" -}}
{{- $root := .root -}}
{{- $fullname := include "bailiwick.fullname" $root -}}
{{- range include "bailiwick.secrets" . | fromYamlArray }}
{{- /* The keys are a file in any case: a path, not a secret. */}}
- name: BAILIWICK_{{ .setting }}{{ if ne .setting "SIGNING_KEYS" }}_FILE{{ end }}
  value: /run/bailiwick/secrets/{{ include "bailiwick.secretFile" .setting }}
{{- end }}
{{- with $root.Values.tls }}
- name: PGSSLMODE
  value: {{ .postgresql }}
{{- if or .authority.configMap .authority.secret }}
- name: PGSSLROOTCERT
  value: /run/bailiwick/trust/{{ .authority.key }}
{{- end }}
{{- end }}
{{- if ne .process "migrate" }}
- name: BAILIWICK_OPERATIONS_LISTEN
  value: {{ printf "%s:9464" $root.Values.bindAddress | quote }}
- name: BAILIWICK_DRAIN_DELAY
  value: "5"
- name: BAILIWICK_POLICY_URL
  value: unix:///run/opa/opa.sock
- name: BAILIWICK_POLICY_REVISION
  value: {{ include "bailiwick.revision" $root | quote }}
- name: BAILIWICK_VERSION
  value: {{ $root.Values.image.tag | default $root.Chart.AppVersion | quote }}
- name: BAILIWICK_IDENTITY_URL
  value: http://{{ $fullname }}-identity:8000
- name: BAILIWICK_CUSTOMERS_URL
  value: http://{{ $fullname }}-customers:8000
{{- if eq .process "api" }}
- name: BAILIWICK_LISTEN
  value: {{ printf "%s:8000" $root.Values.bindAddress | quote }}
- name: BAILIWICK_ISSUER
  value: {{ $root.Values.publicUrl | quote }}
{{- end }}
{{- if and (eq .process "worker") (eq .service "notifier") }}
- name: BAILIWICK_MAIL_FROM
  value: {{ $root.Values.mail.from | quote }}
{{- end }}
{{- range $name, $value := (index $root.Values.services .service).settings }}
- name: BAILIWICK_{{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- with $root.Values.tracing }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .ratio | toJson | quote }}
{{- if .headers.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ .headers.name | quote }}, key: {{ .headers.key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
