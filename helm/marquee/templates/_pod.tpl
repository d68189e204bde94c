{{/* A list of environment variables out of a map, whose texts may have templates. Takes (list root map). */}}
{{- define "marquee.env" -}}
{{- $root := index . 0 -}}
{{- range $name, $value := index . 1 }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else if kindIs "float64" $value }}
  value: {{ ternary (int64 $value | toString) (toString $value) (eq (floor $value) $value) | quote }}
  {{- else }}
  value: {{ include "marquee.text" (list $root $value) | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A value as text, with its templates filled in. Takes (list root value). */}}
{{- define "marquee.text" -}}
{{- $text := index . 1 | toString -}}
{{- if contains "{{" $text -}}{{- tpl $text (index . 0) -}}{{- else -}}{{- $text -}}{{- end -}}
{{- end -}}

{{/* Probes of a server, gRPC ones, and of the page: liveness holds from the first moment, readiness while calls are welcome. Takes (list component values). */}}
{{- define "marquee.probes" -}}
{{- $values := index . 1 -}}
{{- $live := "httpGet: {path: /livez, port: http}" -}}
{{- $ready := "httpGet: {path: /readyz, port: http}" -}}
{{- if ne (index . 0) "web" -}}
{{- $probe := $values.probe -}}
{{- $services := ternary (list $probe.service $probe.service) (list "liveness" "readiness") (kindIs "string" $probe.service) -}}
{{- $live = printf "grpc: {port: %d, service: %q}" (int $probe.port) (first $services) -}}
{{- $ready = printf "grpc: {port: %d, service: %q}" (int $probe.port) (last $services) -}}
{{- end -}}
startupProbe:
  {{ $live }}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: {{ div (add $values.startupSeconds 1) 2 }}
livenessProbe:
  {{ $live }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  {{ $ready }}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Where pods go. Takes (list root component values). */}}
{{- define "marquee.scheduling" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index . 2 -}}
{{- $gpu := and $values.serving $values.serving.enabled $values.serving.gpu -}}
{{- $nodes := merge (dict) $values.nodeSelector (ternary ($values.serving).nodeSelector (dict) (not (not $gpu))) -}}
{{- $affinity := omit $values.affinity "podAntiAffinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "marquee.selector" (list $root $component) | fromYaml)) -}}
{{- if eq $values.antiAffinity "required" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else if eq $values.antiAffinity "preferred" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) -}}
{{- end -}}
{{- if ne $values.zoneSpread "none" }}
topologySpreadConstraints:
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: {{ $values.zoneSpread }}
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "marquee.selector" (list $root $component) | nindent 8 }}
{{- end }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $nodes }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $values.tolerations (ternary ($values.serving).tolerations (list) (not (not $gpu))) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName | default (ternary (include "marquee.priorityClassName" $root) "" $root.Values.priorityClass.create) }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}
