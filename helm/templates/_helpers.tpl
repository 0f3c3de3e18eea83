{{- define "tributary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tributary.fullname" -}}
{{- $name := include "tributary.name" . }}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- /* A release may be called 1.events, a Service may not. */}}
{{- $full := default $both .Values.fullnameOverride | replace "." "-" | trunc 63 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) }}
{{- fail (printf "%q is no name for a Service, which begins with a letter, in lower case: set fullnameOverride" $full) }}
{{- end }}
{{- $full }}
{{- end }}

{{- define "tributary.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "tributary.fullname" .) "default") }}
{{- end }}

{{- define "tributary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tributary.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Those of the pod of `helm test`, which the policy lets in and the selector leaves out. */}}
{{- define "tributary.testLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "tributary.name" . | trunc 58 | trimSuffix "-") | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* A list of maps as one: no key is there twice, and the later map wins, also with an empty text (unlike `merge`). */}}
{{- define "tributary.over" -}}
{{- $all := dict }}
{{- range . }}
{{- range $key, $value := . }}
{{- $_ := set $all $key $value }}
{{- end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- /* Labels of an object, {root, also}; `also` are its own ones among the values. */}}
{{- define "tributary.labelsWith" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $own := include "tributary.selectorLabels" .root | fromYaml }}
{{- include "tributary.over" (list .root.Values.commonLabels .also (include "tributary.about" .root | fromYaml) (dict "helm.sh/chart" $chart) $own) }}
{{- end }}

{{- define "tributary.labels" -}}
{{- include "tributary.labelsWith" (dict "root" . "also" dict) }}
{{- end }}

{{- define "tributary.about" -}}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- /* Labels of pods, {root, own}: without the chart's version, which would restart them for nothing. */}}
{{- define "tributary.podLabels" -}}
{{- $values := .root.Values }}
{{- include "tributary.over" (list $values.commonLabels $values.podLabels (include "tributary.about" .root | fromYaml) (fromYaml .own)) }}
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

{{- /*
Fails at a secret that is written out, for a ConfigMap is no place for it. {value, path, name, below}: `below` is whether the
value is below `auth`, `properties` or `redact`, where secrets are, and `name` its keys from there on. Which properties are secret, the
program says too (src/config/properties.rs). Never prints the value.
*/}}
{{- define "tributary.noSecrets" -}}
{{- $at := . }}
{{- if kindIs "map" .value }}
{{- range $key, $value := .value }}
{{- $name := $at.below | ternary (list $at.name $key | compact | join ".") "" }}
{{- $path := list $at.path $key | compact | join "." }}
{{- include "tributary.noSecrets" (dict "value" $value "path" $path "name" $name "below" (or $at.below (has $key (list "auth" "properties" "redact")))) }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- range $index, $value := .value }}
{{- include "tributary.noSecrets" (dict "value" $value "path" (printf "%s[%d]" $at.path $index) "name" $at.name "below" $at.below) }}
{{- end }}
{{- else if .below }}
{{- $secret := regexMatch "(^|\\.)(values?|bearer|(jaas|oauthbearer)\\.config)$|(password|passphrase|secret|token|\\.pem)$" (lower .name) }}
{{- $public := list "ssl.ca.pem" "https.ca.pem" "ssl.certificate.pem" }}
{{- if and $secret (not (has (lower .name) $public)) }}
{{- fail (printf "config: %s is a secret in the clear: put it into a Secret (secrets.files) and write { file = \"…\" }" (trimSuffix ".value" .path)) }}
{{- end }}
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
{{- range list "admin" "kafka" "shutdown" "webhook" }}
{{- if and (hasKey $parsed .) (not (kindIs "map" (get $parsed .))) }}
{{- fail (printf "config: %s must be a table" .) }}
{{- end }}
{{- end }}
{{- if eq (dig "admin" "enabled" true $parsed | toString) "false" }}
{{- fail "config: admin.enabled = false would leave the probes without an answer" }}
{{- end }}
{{- include "tributary.noSecrets" (dict "value" $parsed "path" "" "name" "" "below" false) }}
{{- $config }}
{{- end }}

{{- /* "true" where instances share the work by Kafka's group protocol, else empty. */}}
{{- define "tributary.shared" -}}
{{- $ownership := dig "ownership" "static" (include "tributary.config" . | fromToml) }}
{{- if eq $ownership "group" }}true{{ end }}
{{- end }}

{{- /*
The configuration's generation: the release's revision, where instances of two revisions meet in a rollout and the configuration
does not say it itself. Else empty.
*/}}
{{- define "tributary.generation" -}}
{{- $config := include "tributary.config" . | fromToml }}
{{- if and (include "tributary.shared" .) (not (hasKey $config "generation")) }}{{ .Release.Revision }}{{ end }}
{{- end }}

{{- /* How many pods there are to be. */}}
{{- define "tributary.replicas" -}}
{{- $replicas := int .Values.replicaCount }}
{{- if and (gt $replicas 1) (not (include "tributary.shared" .)) }}
{{- fail (printf "replicaCount is %d, but with ownership = \"static\" a second instance would take the streams away from the first: set ownership = \"group\" in config" $replicas) }}
{{- end }}
{{- $replicas }}
{{- end }}

{{- /* The paths of the streams that are pushed to us, as JSON; empty where there is no such stream. */}}
{{- define "tributary.webhookPaths" -}}
{{- $found := false }}
{{- $paths := list }}
{{- $streams := get (include "tributary.config" . | fromToml) "stream" }}
{{- if kindIs "slice" $streams }}
{{- range $streams }}
{{- if and (kindIs "map" .) (eq (get . "kind" | toString) "airship_webhook") }}
{{- $found = true }}
{{- with get . "path" }}{{ $paths = append $paths (toString .) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.webhook.ingress.enabled (not $found) }}
{{- fail "webhook.ingress.enabled: config has no stream of kind airship_webhook" }}
{{- end }}
{{- if and .Values.webhook.tls.existingSecret (not $found) }}
{{- fail "webhook.tls.existingSecret: config has no stream of kind airship_webhook" }}
{{- end }}
{{- if and $found (eq (include "tributary.port" .) (include "tributary.webhookPort" .)) }}
{{- fail (printf "webhook.listen and admin.listen have the same port, %s: give one of them another" (include "tributary.port" .)) }}
{{- end }}
{{- if $found }}{{ toJson $paths }}{{ end }}
{{- end }}

{{- define "tributary.webhookPort" -}}
{{- regexFind "[0-9]+$" .Values.webhook.listen }}
{{- end }}

{{- /* Name of what leads to the receiver. */}}
{{- define "tributary.webhookName" -}}
{{- printf "%s-webhook" (include "tributary.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{- /* What the receiver in the pod speaks: "https" or "http". */}}
{{- define "tributary.webhookScheme" -}}
{{- $tls := dig "webhook" "tls" "" (include "tributary.config" . | fromToml) }}
{{- or .Values.webhook.tls.existingSecret $tls | empty | ternary "http" "https" }}
{{- end }}

{{- define "tributary.webhookServicePort" -}}
{{- .Values.webhook.service.port | default (eq (include "tributary.webhookScheme" .) "https" | ternary 443 80) }}
{{- end }}

{{- /*
Seconds before SIGTERM in which a pod still receives. At SIGTERM the receiver closes its port at once, while Services and Ingresses learn only after a
while that the pod is gone. Where no other pod receives, the pause would only make the time longer in which nobody does; and Kubernetes itself can wait
only from 1.30 on (the image has nothing that could).
*/}}
{{- define "tributary.preStopSeconds" -}}
{{- $seconds := 0 }}
{{- if and (include "tributary.webhookPaths" .) (include "tributary.shared" .) (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}
{{- $seconds = int .Values.webhook.preStopSeconds }}
{{- end }}
{{- $seconds }}
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
{{- $pause := include "tributary.preStopSeconds" . | int }}
{{- $period := .Values.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $period }}
{{- $period = add $timeout $pause 10 }}
{{- else if le (int $period) (add $timeout $pause | int) }}
{{- $besides := gt $pause 0 | ternary (printf " and webhook.preStopSeconds (%d s) together" $pause) "" }}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be above shutdown.timeout (%d s)%s, or what is queued is cut off" (int $period) $timeout $besides) }}
{{- end }}
{{- int $period }}
{{- end }}

{{- /* What the chart depends on is not to be set behind its back. */}}
{{- define "tributary.guards" -}}
{{- $variable := "^TRIBUTARY_((CONFIG|LOG|ADMIN|SHUTDOWN|OWNERSHIP|GENERATION|WEBHOOK)$|(ADMIN|SHUTDOWN|WEBHOOK__(LISTEN|TLS))(__|$))" }}
{{- range .Values.extraEnv }}
{{- if regexMatch $variable .name }}
{{- fail (printf "extraEnv: %s is the chart's; use log, admin.listen, webhook or config" .name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := .Values.secrets.env }}
{{- if regexMatch $variable $name }}
{{- fail (printf "secrets.env: %s is the chart's; give the variable another name" $name) }}
{{- end }}
{{- end }}
{{- range $where, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "metrics.serviceMonitor.labels" .Values.metrics.serviceMonitor.labels "metrics.prometheusRule.labels" .Values.metrics.prometheusRule.labels "metrics.dashboard.labels" .Values.metrics.dashboard.labels }}
{{- range $name, $_ := $labels }}
{{- if regexMatch "^(app\\.kubernetes\\.io/(name|instance|managed-by|version)|helm\\.sh/chart)$" $name }}
{{- fail (printf "%s: %s is the chart's; nameOverride changes the name" $where $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraArgs }}
{{- if regexMatch "^(--set=)?(shutdown|admin|ownership|generation|webhook\\.(listen|tls))[.=]" . }}
{{- fail (printf "extraArgs: %s is the chart's; use admin.listen, webhook or config" .) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tributary.env" -}}
{{- include "tributary.guards" . }}
- name: TRIBUTARY_ADMIN__LISTEN
  value: {{ .Values.admin.listen | quote }}
{{- if include "tributary.webhookPaths" . }}
- name: TRIBUTARY_WEBHOOK__LISTEN
  value: {{ .Values.webhook.listen | quote }}
{{- if .Values.webhook.tls.existingSecret }}
- name: TRIBUTARY_WEBHOOK__TLS__CERT
  value: /run/tls/tls.crt
- name: TRIBUTARY_WEBHOOK__TLS__KEY
  value: /run/tls/tls.key
{{- end }}
{{- end }}
- name: TRIBUTARY_LOG
  value: {{ .Values.log | quote }}
{{- with include "tributary.generation" . }}
- name: TRIBUTARY_GENERATION
  value: {{ . | quote }}
{{- end }}
{{- range $name, $from := .Values.secrets.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.existingSecret | quote }}
      key: {{ $from.key | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
