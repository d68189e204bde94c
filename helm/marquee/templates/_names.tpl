{{/* What objects are called. */}}
{{- define "marquee.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods are found; they never change. Takes (list root component). */}}
{{- define "marquee.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The beginning of an object's metadata: name, labels, annotations. Takes (list root component name [annotations [labels]]). */}}
{{- define "marquee.metadata" -}}
{{- $root := index . 0 -}}
{{- $annotations := $root.Values.annotations -}}
{{- if gt (len .) 3 -}}{{- $annotations = merge (dict) (index . 3) $annotations -}}{{- end -}}
{{- $labels := $root.Values.labels -}}
{{- if gt (len .) 4 -}}{{- $labels = merge (dict) (index . 4) $labels -}}{{- end -}}
name: {{ index . 2 }}
labels:
  {{- include "marquee.selector" (list $root (index . 1)) | nindent 2 }}
  app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ $root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
  {{- with $labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's reference. Takes (list root image). */}}
{{- define "marquee.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.images.registry -}}{{- trimSuffix "/" . -}}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{- $image.digest -}}
{{- else -}}:{{- $image.tag | default $root.Values.images.tag | default $root.Chart.AppVersion -}}
{{- end -}}
{{- end -}}

{{/* The servers of the contract that are deployed, the gateway and recognizers, and the page, each with its defaults filled in: name → values, as YAML. */}}
{{- define "marquee.components" -}}
{{- $all := include "marquee.servers" . | fromYaml -}}
{{- if include "marquee.hasPage" . -}}{{- $_ := set $all "web" (mergeOverwrite (deepCopy .Values.defaults) .Values.web) -}}{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Those without the page. */}}
{{- define "marquee.servers" -}}
{{- $all := dict "gateway" (mergeOverwrite (deepCopy .Values.defaults) .Values.gateway) -}}
{{- range $name, $own := .Values.recognizers -}}
{{- if has $name (list "gateway" "web") }}{{ fail (printf "recognizers.%s: a recognizer cannot be called %s" $name $name) }}{{ end -}}
{{- if and (kindIs "map" $own) (ne ($own).deploy false) -}}
{{- if gt (len (printf "%s-%s" (include "marquee.fullname" $) $name)) 63 }}{{ fail (printf "recognizers.%s: too long a name for a Service, together with %s" $name (include "marquee.fullname" $)) }}{{ end -}}
{{- $_ := set $all $name (mergeOverwrite (deepCopy $.Values.defaults) $own) -}}
{{- if not (index $all $name).image.repository }}{{ fail (printf "recognizers.%s.image.repository: say which image it runs, or set deploy: false" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Whether a component can have more than one pod; "true" or nothing. Takes its values. */}}
{{- define "marquee.several" -}}
{{- $fewest := ternary .replicas .autoscaling.minReplicas (eq .autoscaling.type "none") -}}
{{- if gt (int $fewest) 1 -}}true{{- end -}}
{{- end -}}

{{/* The most pods that a component may have at once. Takes its values. */}}
{{- define "marquee.mostPods" -}}
{{- ternary .replicas .autoscaling.maxReplicas (eq .autoscaling.type "none") | int | max 1 -}}
{{- end -}}

{{/* Whether a component calls Amazon Rekognition; "true" or nothing. Takes (list component values). */}}
{{- define "marquee.isRekognition" -}}
{{- if or (eq (index . 0) "rekognition") (hasSuffix "marquee-rekognition" (index . 1).image.repository) -}}true{{- end -}}
{{- end -}}

{{/* The port of a URL, or of an address without a scheme. */}}
{{- define "marquee.port" -}}
{{- regexFind "^[^/?#]*" (regexReplaceAll "^[a-z]+://" . "") | regexFind ":[0-9]+$" | trimPrefix ":" | default "443" -}}
{{- end -}}

{{- define "marquee.serviceAccountName" -}}
{{- $values := index . 2 -}}
{{- if $values.serviceAccount.create -}}
{{- $values.serviceAccount.name | default (printf "%s-%s" (include "marquee.fullname" (index . 0)) (index . 1)) -}}
{{- else -}}
{{- $values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}
