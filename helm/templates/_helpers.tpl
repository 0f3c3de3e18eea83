{{- define "tributary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tributary.fullname" -}}
{{- $name := include "tributary.name" . }}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $both .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tributary.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "tributary.fullname" .) "default") }}
{{- end }}

{{- define "tributary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tributary.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Those of the pod of `helm test`, which the policy lets in and the selector leaves out. */}}
{{- define "tributary.testLabels" -}}
app.kubernetes.io/name: {{ include "tributary.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels for pods: without the chart's version, which would restart them for nothing. */}}
{{- define "tributary.commonLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tributary.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tributary.selectorLabels" . }}
{{ include "tributary.commonLabels" . }}
{{- end }}

{{- define "tributary.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "tributary.port" -}}
{{- regexFind "[0-9]+$" .Values.admin.listen }}
{{- end }}

{{- /*
YAML's numbers reach a template as floats, and 50000.0 is no count for the program. Takes {value: …} and makes every whole
number in it an integer, in place.
*/}}
{{- define "tributary.integers" -}}
{{- $value := .value }}
{{- if kindIs "map" $value }}
{{- range $key, $below := $value }}
{{- $holder := dict "value" $below }}
{{- include "tributary.integers" $holder }}
{{- $_ := set $value $key $holder.value }}
{{- end }}
{{- else if kindIs "slice" $value }}
{{- $list := list }}
{{- range $value }}
{{- $holder := dict "value" . }}
{{- include "tributary.integers" $holder }}
{{- $list = append $list $holder.value }}
{{- end }}
{{- $_ := set . "value" $list }}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $_ := set . "value" (int64 $value) }}
{{- end }}
{{- end }}

{{- /* The configuration file. */}}
{{- define "tributary.config" -}}
{{- $config := required "config is missing: give the connector's configuration, as TOML text or as a map" .Values.config }}
{{- if kindIs "map" $config }}
{{- $holder := dict "value" (deepCopy $config) }}
{{- include "tributary.integers" $holder }}
{{- $config = toToml $holder.value }}
{{- end }}
{{- $parsed := fromToml $config }}
{{- /* toToml and fromToml hand their errors over as text. */}}
{{- if hasKey $parsed "Error" }}
{{- fail (printf "config is no valid TOML: %s" $parsed.Error) }}
{{- end }}
{{- range list "admin" "kafka" "shutdown" }}
{{- if not (kindIs "map" (get $parsed . | default dict)) }}
{{- fail (printf "config: %s must be a table" .) }}
{{- end }}
{{- end }}
{{- if eq (dig "admin" "enabled" true $parsed) false }}
{{- fail "config: admin.enabled = false would leave the probes without an answer" }}
{{- end }}
{{- $config }}
{{- end }}

{{- /* shutdown.timeout in whole seconds, rounded up. */}}
{{- define "tributary.shutdownSeconds" -}}
{{- $text := dig "shutdown" "timeout" "20s" (include "tributary.config" . | fromToml) | toString }}
{{- $units := dict "ms" 1 "s" 1000 "sec" 1000 "secs" 1000 "m" 60000 "min" 60000 "mins" 60000 "h" 3600000 }}
{{- $milliseconds := 0 }}
{{- range regexFindAll "[0-9]+ *[a-z]+" $text -1 }}
{{- $unit := get $units (regexFind "[a-z]+" .) | default 0 }}
{{- $milliseconds = add $milliseconds (mul (regexFind "[0-9]+" . | int64) $unit) }}
{{- end }}
{{- $known := keys $units | sortAlpha | reverse | join "|" }}
{{- if not (regexMatch (printf "^([0-9]+ *(%s) *)+$" $known) $text) }}
{{- fail (printf "config: shutdown.timeout = %q is no duration such as 20s or 1m 30s" $text) }}
{{- end }}
{{- div (add $milliseconds 999) 1000 }}
{{- end }}

{{- define "tributary.gracePeriod" -}}
{{- $timeout := include "tributary.shutdownSeconds" . | int }}
{{- $period := .Values.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $period }}
{{- $period = add $timeout 10 }}
{{- else if le (int $period) $timeout }}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be above shutdown.timeout (%d s), or what is queued is cut off" (int $period) $timeout) }}
{{- end }}
{{- int $period }}
{{- end }}

{{- define "tributary.env" -}}
- name: TRIBUTARY_ADMIN__LISTEN
  value: {{ .Values.admin.listen | quote }}
- name: TRIBUTARY_LOG
  value: {{ .Values.log | quote }}
{{- range $name, $from := .Values.secrets.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.existingSecret | quote }}
      key: {{ $from.key | quote }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if regexMatch "^TRIBUTARY_(CONFIG$|LOG$|ADMIN__|SHUTDOWN__)" .name }}
{{- fail (printf "extraEnv: %s is the chart's; use log, admin.listen or config" .name) }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
