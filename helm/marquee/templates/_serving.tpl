{{/* The init containers of a pod that has a TensorFlow Serving of its own. Takes (list root values component). */}}
{{- define "marquee.servingContainers" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- $serving := $values.serving -}}
{{- $fetch := list "python" "-m" "services.keras.fetch" $serving.model.source (printf "/models/%s" $serving.model.name) "--keep" ($serving.model.keep | int | toString) -}}
- name: fetch
  {{- include "marquee.fetch" (list $root $values $fetch) | nindent 2 }}
{{- if $serving.model.watchSeconds }}
- name: watch
  restartPolicy: Always
  {{- include "marquee.fetch" (list $root $values (concat $fetch (list "--watch" ($serving.model.watchSeconds | int | toString)))) | nindent 2 }}
{{- end }}
- name: serving
  restartPolicy: Always
  image: {{ include "marquee.mirrored" (list $root (ternary $serving.image.gpu $serving.image.cpu $serving.gpu)) }}
  imagePullPolicy: {{ $root.Values.images.pullPolicy }}
  command:
    {{- toYaml $serving.command | nindent 4 }}
  args:
    {{- range $root.Files.Lines "files/serving/args.txt" }}
    {{- if and . (or $serving.monitoring (not (hasPrefix "--monitoring" .))) }}
    - {{ replace "celebrity" $serving.model.name . | quote }}
    {{- end }}
    {{- end }}
    {{- with $serving.args }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $serving.gpu }}
  env:
    {{- range $root.Files.Lines "files/serving/gpu.env" }}
    {{- with splitn "=" 2 . }}
    {{- if ._0 }}
    - name: {{ ._0 }}
      value: {{ ._1 | quote }}
    {{- end }}
    {{- end }}
    {{- end }}
  {{- end }}
  ports:
    - {name: serving, containerPort: 8500}
    - {name: serving-http, containerPort: 8501}
  {{- $health := dict "grpc" (dict "port" 8500) }}
  {{- include "marquee.probes" (list $health (dict) $serving (printf "recognizers.%s.serving" (index . 2))) | trim | nindent 2 }}
  resources:
    {{- $gpus := ternary (dict "limits" (dict $serving.gpuResource.name ($serving.gpuResource.count | int))) (dict) $serving.gpu }}
    {{- include "marquee.resources" (list (mergeOverwrite (deepCopy $serving.resources) $gpus) (ternary 0 $serving.model.sizeLimit (not (empty $serving.model.existingClaim)))) | nindent 4 }}
  securityContext:
    {{- toYaml $values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: models, mountPath: /models, readOnly: true}
    - {name: serving-config, mountPath: /config, readOnly: true}
    - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* A container that brings the model. Takes (list root values command). */}}
{{- define "marquee.fetch" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
image: {{ include "marquee.image" (list $root $values.image) }}
imagePullPolicy: {{ $root.Values.images.pullPolicy }}
command:
  {{- toYaml (index . 2) | nindent 2 }}
{{- with $values.env }}
env:
  {{- include "marquee.env" (list $root .) | trim | nindent 2 }}
{{- end }}
{{- with $values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- include "marquee.resources" (list (dict "requests" (dict "cpu" "10m" "memory" "64Mi") "limits" (dict "memory" "256Mi")) 0) | nindent 2 }}
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /models}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Its volumes. Takes (list root component values). */}}
{{- define "marquee.servingVolumes" -}}
{{- $model := (index . 2).serving.model -}}
- name: models
  {{- if $model.existingClaim }}
  persistentVolumeClaim: {claimName: {{ $model.existingClaim | quote }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ $model.sizeLimit }}}
  {{- end }}
- name: serving-config
  configMap: {name: {{ include "marquee.name" (list (index . 0) (printf "%s-serving" (index . 1)) 253) }}}
{{- end -}}
