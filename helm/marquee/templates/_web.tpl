{{/* Whether the page is run; "true" or nothing. */}}
{{- define "marquee.hasPage" -}}
{{- if kindIs "invalid" .Values.web.enabled -}}
{{- if not (include "marquee.closed" .) -}}true{{- end -}}
{{- else if .Values.web.enabled -}}true{{- end -}}
{{- end -}}

{{/* The URL at which visitors reach the page. */}}
{{- define "marquee.pageUrl" -}}
{{- $web := .Values.web -}}
{{- $hosts := include "marquee.outsideHosts" (list $web.ingress $web.route) | fromJsonArray -}}
{{- $web.url | default (ternary (printf "https://%s" (first $hosts)) "http://localhost:8080" (not (empty $hosts))) -}}
{{- end -}}

{{/* The names under which the cluster's own services call the HTTP API. */}}
{{- define "marquee.pageHosts" -}}
{{- $service := include "marquee.name" (list . "web") -}}
{{- $hosts := list -}}
{{- range list "" (printf ".%s" .Release.Namespace) (printf ".%s.svc" .Release.Namespace) (printf ".%s.svc.cluster.local" .Release.Namespace) -}}
{{- $hosts = append $hosts (print $service .) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{/* The Secret with the keys that sign sessions. */}}
{{- define "marquee.sessionSecret" -}}
{{- .Values.web.sessionKey.secretName | default (include "marquee.name" (list . "web-session" 253)) -}}
{{- end -}}

{{/* The Secret with the certificate that the page shows the gateway. */}}
{{- define "marquee.pageSecret" -}}
{{- include "marquee.serverSecret" (list . "web" .Values.web) -}}
{{- end -}}

{{/* The page's environment: name → value, as YAML. */}}
{{- define "marquee.pageEnv" -}}
{{- $auth := .Values.auth -}}
{{- $web := .Values.web -}}
MARQUEE_WEB_URL: {{ include "marquee.pageUrl" . | quote }}
MARQUEE_WEB_HOSTS: {{ include "marquee.pageHosts" . }}
MARQUEE_WEB_TRUSTED_PROXIES: {{ $web.trustedProxies | join "," | quote }}
MARQUEE_WEB_SESSION_KEY_FILE: /session/keys
MARQUEE_WEB_GATEWAY: {{ include "marquee.name" (list . "gateway-headless") }}{{ if include "marquee.closed" . }}.{{ .Release.Namespace }}.svc{{ end }}:50051
{{- if not (include "marquee.closed" .) }}
MARQUEE_ALLOW_ANONYMOUS: true
{{- else }}
MARQUEE_WEB_GATEWAY_TLS: true
MARQUEE_WEB_GATEWAY_SERVER_NAME: {{ $web.gatewayTls.serverName | default (include "marquee.host" (list . "gateway" .Values.gateway)) | quote }}
{{- if not $web.gatewayTls.publicCa }}
MARQUEE_WEB_GATEWAY_CA: /tls/gateway/ca.crt
{{- end }}
{{- if eq $auth.mode "mtls" }}
MARQUEE_WEB_GATEWAY_CERT: /tls/page/tls.crt
MARQUEE_WEB_GATEWAY_KEY: /tls/page/tls.key
{{- else }}
MARQUEE_WEB_GATEWAY_TOKEN_FILE: /token/token
{{- end }}
{{- if $auth.callers.secretName }}
MARQUEE_CALLERS: /callers/callers
{{- end }}
{{- with $web.oidc.issuer }}
MARQUEE_OIDC_ISSUER: {{ . | quote }}
MARQUEE_OIDC_CLIENT_ID: {{ $web.oidc.clientId | required "web.oidc.clientId: say by which name the issuer knows the page" | quote }}
{{- end }}
{{- if $web.oidc.clientSecret.secretName }}
MARQUEE_OIDC_CLIENT_SECRET_FILE: /oidc/secret
{{- end }}
{{- end }}
{{- end -}}

{{/* Its folders: mount path → volume's source, as YAML. */}}
{{- define "marquee.pageFolders" -}}
{{- $auth := .Values.auth -}}
{{- $web := .Values.web -}}
/session: {secret: {secretName: {{ include "marquee.sessionSecret" . | quote }}, items: [{key: keys, path: keys}]}}
{{- if include "marquee.closed" . }}
{{- if not $web.gatewayTls.publicCa }}
/tls/gateway: {secret: {secretName: {{ include "marquee.serverSecret" (list . "gateway" .Values.gateway) | quote }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- if eq $auth.mode "mtls" }}
/tls/page: {secret: {secretName: {{ include "marquee.pageSecret" . | quote }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}}
{{- else }}
/token: {secret: {secretName: {{ $web.gatewayToken.secretName | quote }}, items: [{key: token, path: token}]}}
{{- end }}
{{- with $auth.callers.secretName }}
/callers: {secret: {secretName: {{ . | quote }}, items: [{key: callers, path: callers}]}}
{{- end }}
{{- with $web.oidc.clientSecret.secretName }}
/oidc: {secret: {secretName: {{ . | quote }}, items: [{key: secret, path: secret}]}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Fail for values with which everybody could use the page, or nobody, by mistake. */}}
{{- define "marquee.checkPage" -}}
{{- $values := .Values -}}
{{- $web := $values.web -}}
{{- $mode := $values.auth.mode -}}
{{- $own := dict "web.gatewayToken.secretName" $web.gatewayToken.secretName "web.tls.secretName" $web.tls.secretName "web.oidc.issuer" $web.oidc.issuer -}}
{{- if not (include "marquee.hasPage" .) -}}
{{- include "marquee.checkIdle" (list "unless web.enabled is true" (merge (dict "web.ingress.enabled" $web.ingress.enabled "web.route.enabled" $web.route.enabled) $own)) -}}
{{- else if include "marquee.closed" . -}}
{{- if and (eq $mode "token") (not $web.gatewayToken.secretName) }}{{ fail "web.gatewayToken.secretName: name the Secret with the token by which the page calls the gateway, as auth.mode is token" }}{{ end -}}
{{- if not (or $values.auth.callers.secretName $web.oidc.issuer) }}{{ fail "web.oidc.issuer: set it, or auth.callers.secretName; nobody could sign in to the page" }}{{ end -}}
{{- include "marquee.checkIdle" (list (printf "while auth.mode is %s" $mode) (ternary (pick $own "web.gatewayToken.secretName") (pick $own "web.tls.secretName") (eq $mode "mtls"))) -}}
{{- else -}}
{{- include "marquee.checkIdle" (list "while auth.mode is anonymous; set auth.mode to token or mtls" $own) -}}
{{- end -}}
{{- if not $web.oidc.issuer }}{{ include "marquee.checkIdle" (list "without web.oidc.issuer" (dict "web.oidc.clientId" $web.oidc.clientId "web.oidc.clientSecret.secretName" $web.oidc.clientSecret.secretName)) }}{{ end -}}
{{- if include "marquee.hasPage" . -}}
{{- if and (ne $web.service.type "ClusterIP") (not $web.url) (not $web.ingress.enabled) (not $web.route.enabled) }}{{ fail (printf "web.url: say at which URL visitors reach it through a %s; requests for other hosts are refused" $web.service.type) }}{{ end -}}
{{- $url := urlParse (include "marquee.pageUrl" .) -}}
{{- if and (include "marquee.closed" .) (eq $url.scheme "http") (not (regexMatch "^(localhost|127[0-9.]+|::1)$" $url.hostname)) }}{{ fail (printf "web.url: it has to be https://, as visitors sign in while auth.mode is %s" $mode) }}{{ end -}}
{{- $env := mergeOverwrite (dict) ($values.defaults.env | default dict) ($web.env | default dict) -}}
{{- range $name := list "ALLOW_ANONYMOUS" "CALLERS" "OIDC_CLIENT_ID" "OIDC_ISSUER" "TLS_CERT" "TLS_KEY" "WEB_PORT" -}}
{{- if hasKey $env (printf "MARQUEE_%s" $name) }}{{ fail (printf "web.env.MARQUEE_%s: leave it out, also in defaults.env; auth and web.oidc say who may come in, and the chart how" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
