{{/* The gateway's file: the recognizers in order, each with the target that the chart gives it. */}}
{{- define "marquee.gatewayConfig" -}}
{{- $recognizers := dict -}}
{{- range $name, $own := .Values.recognizers -}}
{{- if kindIs "map" $own -}}{{- $_ := set $recognizers $name $own -}}{{- end -}}
{{- end -}}
{{- range .Values.gateway.order -}}
{{- if not (hasKey $recognizers .) }}{{ fail (printf "gateway.order: there is no recognizer %q" .) }}{{ end -}}
{{- end -}}
{{- if include "marquee.closed" . -}}
tls: {ca: /tls/client/ca.crt, cert: /tls/client/tls.crt, key: /tls/client/tls.key}
{{- else -}}
tls: plaintext
{{- end }}
recognizers:
{{- range concat (.Values.gateway.order | default list) (keys $recognizers | sortAlpha) | uniq }}
  {{- $own := index $recognizers . }}
  {{- $entry := dict "target" (printf "dns:///%s:50051" (include "marquee.host" (list $ . $own))) }}
  {{- if eq $own.deploy false }}
  {{- if not ($own.gateway).target }}{{ fail (printf "recognizers.%s.gateway.target: say where it is, as the chart does not deploy it" .) }}{{ end }}
  {{- if kindIs "invalid" $own.gateway.tls }}{{ fail (printf "recognizers.%s.gateway.tls: say how it is reached, by certificates or the word plaintext, as the chart does not deploy it" .) }}{{ end }}
  {{- end }}
  {{ . | quote }}:
    {{- $entry = merge (dict) ($own.gateway | default dict) $entry }}
    {{- range $key := list "timeout" "max_in_flight" }}
    {{- if hasKey $entry $key }}{{ $_ := set $entry $key (get $entry $key | float64) }}{{ end }}
    {{- end }}
    {{- toYaml $entry | nindent 4 }}
{{- end }}
{{- if not $recognizers }}{{ fail "recognizers: name at least one" }}{{ end }}
{{- end -}}

{{/* The collection that an empty one stands for: Rekognition's. `value`, as YAML, or nothing. */}}
{{- define "marquee.defaultCollection" -}}
{{- with .Values.recognizers.rekognition -}}
{{- $env := mergeOverwrite (dict) ($.Values.defaults.env | default dict) (.env | default dict) -}}
{{- with $env.MARQUEE_REKOGNITION_COLLECTION -}}{{- toYaml (dict "value" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
