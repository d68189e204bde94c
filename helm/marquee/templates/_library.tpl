{{/* The library's environment, beside what says who may call it: name → value, as YAML. */}}
{{- define "marquee.libraryEnv" -}}
{{- $library := .Values.library -}}
{{- if $library.database.secretName }}
MARQUEE_LIBRARY_DATABASE_URL_FILE: /database-url/url
{{- end }}
{{- if $library.database.ca.configMapName }}
PGSSLROOTCERT: /database/ca.crt
{{- end }}
MARQUEE_LIBRARY_STORE: {{ $library.store.url | default "file:///store" | quote }}
{{- if $library.tombstoneKey.secretName }}
MARQUEE_LIBRARY_TOMBSTONE_KEY_FILE: /tombstones/keys
{{- end }}
{{- if $library.channels.secretName }}
MARQUEE_LIBRARY_CHANNELS: /channels/channels.yaml
{{- end }}
MARQUEE_LIBRARY_GATEWAY: {{ include "marquee.name" (list . "gateway-headless") }}{{ if include "marquee.closed" . }}.{{ .Release.Namespace }}.svc{{ end }}:50051
{{- if include "marquee.closed" . }}
MARQUEE_LIBRARY_GATEWAY_TLS: true
MARQUEE_LIBRARY_GATEWAY_SERVER_NAME: {{ $library.gatewayTls.serverName | default (include "marquee.host" (list . "gateway" .Values.gateway)) | quote }}
{{- if not $library.gatewayTls.publicCa }}
MARQUEE_LIBRARY_GATEWAY_CA: /tls/gateway/ca.crt
{{- end }}
{{- if eq .Values.auth.mode "mtls" }}
MARQUEE_LIBRARY_GATEWAY_CERT: /tls/server/tls.crt
MARQUEE_LIBRARY_GATEWAY_KEY: /tls/server/tls.key
{{- else }}
MARQUEE_LIBRARY_GATEWAY_TOKEN_FILE: /token/token
{{- end }}
{{- end }}
{{- end -}}

{{/* Its folders, beside those of its doors: mount path → volume's source, as YAML. */}}
{{- define "marquee.libraryFolders" -}}
{{- $library := .Values.library -}}
{{- with $library.database.secretName }}
/database-url: {secret: {secretName: {{ . | quote }}, items: [{key: {{ $library.database.key | quote }}, path: url}]}}
{{- end }}
{{- with $library.database.ca.configMapName }}
/database: {configMap: {name: {{ . | quote }}, items: [{key: {{ $library.database.ca.key | quote }}, path: ca.crt}]}}
{{- end }}
{{- with $library.tombstoneKey.secretName }}
/tombstones: {secret: {secretName: {{ . | quote }}, items: [{key: keys, path: keys}]}}
{{- end }}
{{- with $library.channels.secretName }}
/channels: {secret: {secretName: {{ . | quote }}, items: [{key: channels, path: channels.yaml}]}}
{{- end }}
{{- if include "marquee.closed" . }}
{{- if not $library.gatewayTls.publicCa }}
/tls/gateway: {secret: {secretName: {{ include "marquee.serverSecret" (list . "gateway" .Values.gateway) | quote }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- if eq .Values.auth.mode "token" }}
/token: {secret: {secretName: {{ $library.gatewayToken.secretName | quote }}, items: [{key: token, path: token}]}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The container that brings the database up to date, one pod at a time, before the pod serves: it is the server's, with another argument. Takes a container. */}}
{{- define "marquee.migrate" -}}
- name: migrate
  args: [migrate]
  {{- omit . "name" "ports" "startupProbe" "livenessProbe" "readinessProbe" | toYaml | nindent 2 }}
{{- end -}}

{{/* Fail for a library that cannot work, or that everybody could use by mistake. */}}
{{- define "marquee.checkLibrary" -}}
{{- $library := .Values.library -}}
{{- $mode := .Values.auth.mode -}}
{{- if $library.enabled -}}
{{- $env := mergeOverwrite (dict) (.Values.defaults.env | default dict) ($library.env | default dict) -}}
{{- if not (or $library.database.secretName (hasKey $env "MARQUEE_LIBRARY_DATABASE_URL")) }}{{ fail "library.database.secretName: name the Secret with the URL of its database" }}{{ end -}}
{{- if not (or $library.store.url $library.store.existingClaim) }}{{ fail "library.store.url: say where pictures' files are kept, or name a claim in library.store.existingClaim" }}{{ end -}}
{{- if and $library.store.url $library.store.existingClaim }}{{ fail "library.store.url: leave it out, or library.store.existingClaim" }}{{ end -}}
{{- if and (hasPrefix "file:" $library.store.url) (not $library.volumeMounts) }}{{ fail "library.store.url: name a claim in library.store.existingClaim instead, or mount a volume at the folder; the root of pods is read-only" }}{{ end -}}
{{- if and (eq $mode "token") (not $library.gatewayToken.secretName) }}{{ fail "library.gatewayToken.secretName: name the Secret with the token by which the library calls the gateway, as auth.mode is token" }}{{ end -}}
{{- if and (ne $mode "anonymous") (not .Values.auth.callers.secretName) }}{{ fail "auth.callers.secretName: name the Secret with the register; without a line in it that has the scope relay, the gateway refuses the library" }}{{ end -}}
{{- if ne $mode "token" }}{{ include "marquee.checkIdle" (list (printf "while auth.mode is %s" $mode) (dict "library.gatewayToken.secretName" $library.gatewayToken.secretName)) }}{{ end -}}
{{- end -}}
{{- end -}}
