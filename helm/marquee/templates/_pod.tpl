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

{{/* The probes of a server, gRPC ones, and of the page: liveness holds from the first moment, readiness while calls are welcome. Takes (list component values). */}}
{{- define "marquee.serverProbes" -}}
{{- $values := index . 1 -}}
{{- $live := dict "httpGet" (dict "path" "/livez" "port" "http") -}}
{{- $ready := dict "httpGet" (dict "path" "/readyz" "port" "http") -}}
{{- if ne (index . 0) "web" -}}
{{- $probe := $values.probe -}}
{{- $services := ternary (list $probe.service $probe.service) (list "liveness" "readiness") (kindIs "string" $probe.service) -}}
{{- $live = dict "grpc" (dict "port" (int $probe.port) "service" (first $services)) -}}
{{- $ready = dict "grpc" (dict "port" (int $probe.port) "service" (last $services)) -}}
{{- end -}}
{{- include "marquee.probes" (list $live $ready $values (include "marquee.key" (index . 0))) -}}
{{- end -}}

{{/* A container's probes, with what its values say of them. Takes (list live ready values key); without `ready` there is no readiness probe unless the values have one. */}}
{{- define "marquee.probes" -}}
{{- $live := index . 0 -}}
{{- $ready := index . 1 -}}
{{- $values := index . 2 -}}
{{- $key := index . 3 -}}
{{- $all := dict
  "startup" (merge (dict "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" (div (add (int $values.startupSeconds) 1) 2)) $live)
  "liveness" (merge (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) $live)
  "readiness" (ternary (merge (dict "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 2) $ready) (dict) (not (empty $ready))) -}}
{{- $ways := list "exec" "grpc" "httpGet" "tcpSocket" -}}
{{- range $name := list "startup" "liveness" "readiness" }}
{{- $own := get ($values.probes | default dict) $name | default dict }}
{{- $given := list }}
{{- range $ways }}{{ if hasKey $own . }}{{ $given = append $given . }}{{ end }}{{ end }}
{{- if gt (len $given) 1 }}{{ fail (printf "%s.probes.%s: use one of %s, also in defaults.probes" $key $name (join " and " $given)) }}{{ end }}
{{- $probe := get $all $name }}
{{- if $given }}{{ range $ways }}{{ $_ := unset $probe . }}{{ end }}{{ end }}
{{- with mergeOverwrite $probe $own }}
{{- include "marquee.probeNumbers" . }}
{{ $name }}Probe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Make numbers of texts that are some, as those of `--set-string`. Takes a probe, and changes it. */}}
{{- define "marquee.probeNumbers" -}}
{{- $probe := . -}}
{{- range $key, $value := . -}}
{{- if kindIs "string" $value -}}{{- $_ := set $probe $key (int $value) -}}
{{- else if and (kindIs "map" $value) (regexMatch "^[0-9]+$" (get $value "port" | toString)) -}}{{- $_ := set $value "port" (int $value.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A container's resources, with disk for its logs, of which kubelet keeps 50 MiB, and for what its pod's volumes hold for it. Takes (list resources size-of-volume). */}}
{{- define "marquee.resources" -}}
{{- $limit := printf "%dMi" (add 256 (include "marquee.mebibytes" (index . 1) | int)) -}}
{{- $disk := dict "requests" (dict "ephemeral-storage" "64Mi") "limits" (dict "ephemeral-storage" $limit) -}}
{{- toYaml (mergeOverwrite $disk (deepCopy (index . 0))) -}}
{{- end -}}

{{/* A quantity of bytes in MiB, rounded up. */}}
{{- define "marquee.mebibytes" -}}
{{- $text := ternary (int64 .) . (kindIs "float64" .) | toString -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- $unit := regexReplaceAll "^[0-9.]+" $text "" -}}
{{- if not (hasKey $units $unit) }}{{ fail (printf "%s: write this size with one of %s, or none" $text (keys $units | sortAlpha | join " ")) }}{{ end -}}
{{- divf (mulf (regexFind "^[0-9.]+" $text | float64) (get $units $unit)) 1048576.0 | ceil | int64 -}}
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
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The server's container. Takes (list root component values environment folders size-of-tmp). */}}
{{- define "marquee.server" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index . 2 -}}
- name: {{ $component | quote }}
  image: {{ include "marquee.image" (list $root $values.image) }}
  imagePullPolicy: {{ $root.Values.images.pullPolicy }}
  env:
    {{- include "marquee.env" (list $root (merge (dict) $values.env (index . 3))) | trim | nindent 4 }}
  {{- with $values.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- if eq $component "web" }}
    - {name: http, containerPort: 8080}
    {{- else }}
    - {name: grpc, containerPort: 50051}
    {{- end }}
    - {name: metrics, containerPort: 9464}
  {{- include "marquee.serverProbes" (list $component $values) | trim | nindent 2 }}
  resources:
    {{- include "marquee.resources" (list $values.resources (index . 5)) | nindent 4 }}
  securityContext:
    {{- toYaml $values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if eq $component "gateway" }}
    - {name: config, mountPath: /config, readOnly: true}
    {{- if $root.Values.gateway.calibration.configMapName }}
    - {name: calibration, mountPath: /calibration, readOnly: true}
    {{- end }}
    {{- end }}
    {{- range $path, $_ := (index . 4) }}
    - {name: {{ include "marquee.volumeName" $path }}, mountPath: {{ $path }}, readOnly: true}
    {{- end }}
    {{- if ($values.serving).enabled }}
    - {name: models, mountPath: /models, readOnly: true}
    {{- end }}
    {{- if ($values.store).existingClaim }}
    - {name: store, mountPath: /store}
    {{- end }}
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
