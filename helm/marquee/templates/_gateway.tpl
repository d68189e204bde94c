{{/* The gateway's file: the recognizers in order, each with the target that the chart gives it, and what holds for all. */}}
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
{{- with include "marquee.gatewayKeys" . | fromYaml }}
{{ toYaml . }}
{{- end }}
recognizers:
{{- $free := list }}
{{- $priced := list }}
{{- range keys $recognizers | sortAlpha }}
{{- if ((index $recognizers .).gateway).priced }}{{ $priced = append $priced . }}{{ else }}{{ $free = append $free . }}{{ end }}
{{- end }}
{{- range concat (.Values.gateway.order | default list) $free $priced | uniq }}
  {{- $own := index $recognizers . }}
  {{- $entry := dict "target" (printf "dns:///%s:50051" (include "marquee.host" (list $ . $own))) }}
  {{- if eq $own.deploy false }}
  {{- if not ($own.gateway).target }}{{ fail (printf "recognizers.%s.gateway.target: say where it is, as the chart does not deploy it" .) }}{{ end }}
  {{- if kindIs "invalid" $own.gateway.tls }}{{ fail (printf "recognizers.%s.gateway.tls: say how it is reached, by certificates or the word plaintext, as the chart does not deploy it" .) }}{{ end }}
  {{- end }}
  {{ . | quote }}:
    {{- $entry = merge (dict) ($own.gateway | default dict) $entry }}
    {{- include "marquee.numbers" (list $entry "timeout" "max_in_flight" "confident_score") }}
    {{- toYaml $entry | nindent 4 }}
{{- end }}
{{- if not $recognizers }}{{ fail "recognizers: name at least one" }}{{ end }}
{{- end -}}

{{/* Make numbers of texts that are some, in these keys of a map. Takes (list map key…), and changes the map. */}}
{{- define "marquee.numbers" -}}
{{- $map := first . | default dict -}}
{{- range rest . -}}
{{- if kindIs "string" (get $map . | default 0) -}}{{- $_ := set $map . (get $map . | float64) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The keys of the gateway's file that hold for all recognizers, as YAML. */}}
{{- define "marquee.gatewayKeys" -}}
{{- $file := dict -}}
{{- range $key, $value := .Values.gateway.file -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $file $key (deepCopy $value) -}}{{- end -}}
{{- end -}}
{{- $calibration := .Values.gateway.calibration -}}
{{- if $calibration.configMapName -}}
{{- if ($file.calibration).table }}{{ fail "gateway.file.calibration.table: leave it out, or gateway.calibration.configMapName, which says where the table is, too" }}{{ end -}}
{{- $_ := set $file "calibration" (merge (dict "table" (printf "/calibration/%s" $calibration.key)) ($file.calibration | default dict)) -}}
{{- else if and $file.calibration (not $file.calibration.table) -}}
{{- fail "gateway.calibration.configMapName: name the ConfigMap with the table, or say in gateway.file.calibration.table where it is mounted" -}}
{{- end -}}
{{- include "marquee.numbers" (list $file "max_in_flight" "confident_score") -}}
{{- include "marquee.numbers" (list $file.cache "mib" "ttl") -}}
{{- include "marquee.numbers" (list $file.veto "score") -}}
{{- include "marquee.numbers" (list $file.calibration "prior_unknown" "threshold") -}}
{{- with $file.veto -}}
{{- if not (kindIs "map" (index $.Values.recognizers .recognizer)) }}{{ fail (printf "gateway.file.veto.recognizer: there is no recognizer %q" .recognizer) }}{{ end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{/* The gateway's resources: what the values say, and the cache's memory beside it. Takes (list resources MiB). */}}
{{- define "marquee.gatewayResources" -}}
{{- $resources := deepCopy (index . 0) -}}
{{- $cache := int (index . 1) -}}
{{- range list "requests" "limits" -}}
{{- $kind := get $resources . | default dict -}}
{{- if and $cache $kind.memory -}}
{{- $_ := set $kind "memory" (printf "%dMi" (add $cache (include "marquee.mebibytes" $kind.memory | int))) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* The collection that an empty one stands for: Rekognition's. `value`, as YAML, or nothing. */}}
{{- define "marquee.defaultCollection" -}}
{{- with .Values.recognizers.rekognition -}}
{{- $env := mergeOverwrite (dict) ($.Values.defaults.env | default dict) (.env | default dict) -}}
{{- with $env.MARQUEE_REKOGNITION_COLLECTION -}}{{- toYaml (dict "value" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
