{{/* The gateway's file: the recognizers in order, each with the target that the chart gives it. */}}
{{- define "marquee.gatewayConfig" -}}
{{- $recognizers := dict -}}
{{- range $name, $own := .Values.recognizers -}}
{{- if kindIs "map" $own -}}{{- $_ := set $recognizers $name $own -}}{{- end -}}
{{- end -}}
{{- range .Values.gateway.order -}}
{{- if not (hasKey $recognizers .) }}{{ fail (printf "gateway.order: there is no recognizer %q" .) }}{{ end -}}
{{- end -}}
recognizers:
{{- range concat .Values.gateway.order (keys $recognizers | sortAlpha) | uniq }}
  {{- $own := index $recognizers . }}
  {{- $entry := dict "target" (printf "dns:///%s-%s:50051" (include "marquee.fullname" $) .) }}
  {{- if and (eq $own.deploy false) (not ($own.gateway).target) }}{{ fail (printf "recognizers.%s.gateway.target: say where it is, as the chart does not deploy it" .) }}{{ end }}
  {{ . }}:
    {{- toYaml (merge (dict) ($own.gateway | default dict) $entry) | nindent 4 }}
{{- end }}
{{- if not $recognizers }}{{ fail "recognizers: name at least one" }}{{ end }}
{{- end -}}
