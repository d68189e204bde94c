{{/* Whether the mode makes callers show who they are, over TLS; "true" or nothing. */}}
{{- define "marquee.closed" -}}
{{- if ne .Values.auth.mode "anonymous" -}}true{{- end -}}
{{- end -}}

{{/* Whether a component speaks TLS; "true" or nothing. Takes (list root values). */}}
{{- define "marquee.speaksTls" -}}
{{- $word := ((index . 1).gateway).tls | default "" -}}
{{- if and (include "marquee.closed" (index . 0)) (ne (toString $word) "plaintext") -}}true{{- end -}}
{{- end -}}

{{/* Where a component's values are. Takes its name. */}}
{{- define "marquee.key" -}}
{{- ternary . (printf "recognizers.%s" .) (has . (list "gateway" "library" "web")) -}}
{{- end -}}

{{/* The name under which a component is called, with the namespace if its certificate has to have it. Takes (list root component values). */}}
{{- define "marquee.host" -}}
{{- include "marquee.name" (list (index . 0) (index . 1)) -}}
{{- if include "marquee.speaksTls" (list (index . 0) (index . 2)) }}.{{ (index . 0).Release.Namespace }}.svc{{ end -}}
{{- end -}}

{{/* The Secret that cert-manager writes for a component. Takes (list root component). */}}
{{- define "marquee.issuedSecret" -}}
{{- include "marquee.name" (list (index . 0) (printf "%s-grpc-tls" (index . 1)) 253) -}}
{{- end -}}

{{/* The Secret with the certificate that a component shows its callers. Takes (list root component values). */}}
{{- define "marquee.serverSecret" -}}
{{- $tls := (index . 0).Values.tls -}}
{{- $issued := ternary (include "marquee.issuedSecret" .) "" (not (empty $tls.issuerRef)) -}}
{{- ((index . 2).tls).secretName | default $tls.secretName | default $issued
  | required (printf "tls.secretName, tls.issuerRef or %s.tls.secretName: say where its certificate comes from, as auth.mode is %s" (include "marquee.key" (index . 1)) (index . 0).Values.auth.mode) -}}
{{- end -}}

{{/* The Secret with the certificate that the gateway shows recognizers: what `tls` says of all comes first. */}}
{{- define "marquee.clientSecret" -}}
{{- $gateway := dict "tls" (ternary .Values.gateway.tls (dict) (empty .Values.tls.issuerRef)) -}}
{{- .Values.tls.secretName | default (include "marquee.serverSecret" (list . "gateway" $gateway)) -}}
{{- end -}}

{{/* Who may call a component, in its environment: name → value, as YAML. Takes (list root component values). */}}
{{- define "marquee.doors" -}}
{{- $root := index . 0 -}}
{{- $auth := $root.Values.auth -}}
{{- if eq (index . 1) "web" }}
{{- include "marquee.pageEnv" $root }}
{{- else if not (include "marquee.speaksTls" (list $root (index . 2))) }}
MARQUEE_ALLOW_ANONYMOUS: true
{{- else }}
MARQUEE_TLS_CERT: /tls/server/tls.crt
MARQUEE_TLS_KEY: /tls/server/tls.key
{{- if not (has (index . 1) (list "gateway" "library")) }}
MARQUEE_TLS_CLIENT_CA: /tls/server/ca.crt
MARQUEE_TLS_CLIENT_SCOPES: none
MARQUEE_CALLERS: /callers/callers
{{- else }}
{{- if eq $auth.mode "mtls" }}
{{- $own := printf "/tls/%s/ca.crt" (ternary "client" "server" (eq (index . 1) "gateway")) }}
MARQUEE_TLS_CLIENT_CA: {{ ternary "/tls/callers/ca.crt" $own (not (empty $auth.clientCa.secretName)) }}
{{- end }}
{{- if $auth.callers.secretName }}
MARQUEE_CALLERS: /callers/callers
{{- end }}
{{- with $auth.jwt.issuer }}
MARQUEE_JWT_ISSUER: {{ . | quote }}
MARQUEE_JWT_AUDIENCE: {{ $auth.jwt.audience | required "auth.jwt.audience: the issuer's tokens for other services would be accepted" | quote }}
MARQUEE_JWT_JWKS_URL: {{ $auth.jwt.jwksUrl | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (index . 1) "library" }}
{{- include "marquee.libraryEnv" $root }}
{{- end }}
{{- end -}}

{{/* Folders with certificates and registers: mount path → volume's source, as YAML. Takes (list root component values). */}}
{{- define "marquee.doorFolders" -}}
{{- $root := index . 0 -}}
{{- $auth := $root.Values.auth -}}
{{- if eq (index . 1) "web" }}
{{- include "marquee.pageFolders" $root }}
{{- else if include "marquee.speaksTls" (list $root (index . 2)) }}
/tls/server: {secret: {secretName: {{ include "marquee.serverSecret" . | quote }}}}
{{- if not (has (index . 1) (list "gateway" "library")) }}
/callers: {configMap: {name: {{ include "marquee.name" (list $root "callers") }}}}
{{- else }}
{{- if eq (index . 1) "gateway" }}
/tls/client: {secret: {secretName: {{ include "marquee.clientSecret" $root | quote }}}}
{{- end }}
{{- if and (eq $auth.mode "mtls") $auth.clientCa.secretName }}
/tls/callers: {secret: {secretName: {{ $auth.clientCa.secretName | quote }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- with $auth.callers.secretName }}
/callers: {secret: {secretName: {{ . | quote }}, items: [{key: callers, path: callers}]}}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (index . 1) "library" }}
{{- include "marquee.libraryFolders" $root }}
{{- end }}
{{- end -}}

{{/* Fail for values with which everybody could call, or nobody, by mistake. */}}
{{- define "marquee.checkDoors" -}}
{{- $values := .Values -}}
{{- $auth := $values.auth -}}
{{- if include "marquee.closed" . -}}
{{- if and (eq $auth.mode "token") (not $auth.callers.secretName) (not $auth.jwt.issuer) }}{{ fail "auth.callers.secretName: name the Secret with the register of callers, or set auth.jwt.issuer, as auth.mode is token" }}{{ end -}}
{{- if and $values.tls.secretName $values.tls.issuerRef }}{{ fail "tls.secretName: leave it out, or tls.issuerRef" }}{{ end -}}
{{- if and $values.tls.issuerRef (not $values.tls.issuerRef.name) }}{{ fail "tls.issuerRef.name: say which of cert-manager's issuers" }}{{ end -}}
{{- else -}}
{{- include "marquee.checkIdle" (list "while auth.mode is anonymous; set auth.mode to token or mtls" (dict "auth.callers.secretName" $auth.callers.secretName "auth.jwt.issuer" $auth.jwt.issuer "tls.secretName" $values.tls.secretName "tls.issuerRef" $values.tls.issuerRef)) -}}
{{- if not $auth.allowAnonymousIngress -}}
{{- $remedy := "set auth.mode to token or mtls, or auth.allowAnonymousIngress to true" -}}
{{- range $key, $edge := dict "ingress" $values.ingress "route" $values.route -}}
{{- if $edge.enabled }}{{ fail (printf "%s.enabled: whoever reaches it could call, as auth.mode is anonymous; %s" $key $remedy) }}{{ end -}}
{{- end -}}
{{- $services := dict "gateway" $values.gateway.service -}}
{{- if include "marquee.hasPage" . -}}
{{- $_ := set $services "web" $values.web.service -}}
{{- range $key, $edge := dict "ingress" $values.web.ingress "route" $values.web.route -}}
{{- if $edge.enabled }}{{ fail (printf "web.%s.enabled: whoever reaches it could use the page, as auth.mode is anonymous; %s" $key $remedy) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range $key, $service := $services -}}
{{- if ne $service.type "ClusterIP" }}{{ fail (printf "%s.service.type: whoever reaches a %s could call, as auth.mode is anonymous; %s" $key $service.type $remedy) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne $auth.mode "mtls" }}{{ include "marquee.checkIdle" (list "unless auth.mode is mtls" (dict "auth.clientCa.secretName" $auth.clientCa.secretName)) }}{{ end -}}
{{- if not $auth.jwt.issuer }}{{ include "marquee.checkIdle" (list "without auth.jwt.issuer" (dict "auth.jwt.audience" $auth.jwt.audience "auth.jwt.jwksUrl" $auth.jwt.jwksUrl)) }}{{ end -}}
{{- if not $values.tls.issuerRef }}{{ include "marquee.checkIdle" (list "without tls.issuerRef" (dict "gateway.tls.dnsNames" ($values.gateway.tls).dnsNames)) }}{{ end -}}
{{- include "marquee.checkPage" . -}}
{{- include "marquee.checkLibrary" . -}}
{{- include "marquee.checkEdges" . -}}
{{- range $component, $one := include "marquee.servers" . | fromYaml -}}
{{- $key := include "marquee.key" $component -}}
{{- $speaksTls := include "marquee.speaksTls" (list $ $one) -}}
{{- if and $speaksTls (eq (int $one.probe.port) 50051) }}{{ fail (printf "%s.probe.port: kubelet speaks no TLS, as this port does; set 9465 for an image of Marquee's runtime, or gateway.tls to plaintext for another" $key) }}{{ end -}}
{{- if not $speaksTls }}{{ include "marquee.checkIdle" (list "where there is no TLS, as auth.mode or gateway.tls says" (dict (printf "%s.tls.secretName" $key) ($one.tls).secretName)) }}{{ end -}}
{{- if or $speaksTls (has $component (list "gateway" "library")) -}}
{{- range $name := list "ALLOW_ANONYMOUS" "CALLERS" "JWT_AUDIENCE" "JWT_ISSUER" "JWT_JWKS_URL" "TLS_CERT" "TLS_CLIENT_CA" "TLS_KEY" -}}
{{- if hasKey $one.env (printf "MARQUEE_%s" $name) }}{{ fail (printf "%s.env.MARQUEE_%s: leave it out, also in defaults.env; auth and tls say who may call" $key $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fail for values that do nothing beside the others. Takes (list when values-by-key). */}}
{{- define "marquee.checkIdle" -}}
{{- $when := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if $value }}{{ fail (printf "%s: it has no effect %s" $key $when) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The name of a volume that is mounted at a path. */}}
{{- define "marquee.volumeName" -}}
{{- trimPrefix "/" . | replace "/" "-" -}}
{{- end -}}
