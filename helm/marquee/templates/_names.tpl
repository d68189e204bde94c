{{/* What the names of all objects begin with. Services and certificates need room for more after it. */}}
{{- define "marquee.fullname" -}}
{{- $name := include "marquee.wholeName" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) }}{{ fail (printf "fullnameOverride: say what objects are called instead of %s: a Service's name begins with a letter, and has letters, digits and hyphens" $name) }}{{ end -}}
{{- include "marquee.cut" (list $name 40) -}}
{{- end -}}

{{/* The same, however long. */}}
{{- define "marquee.wholeName" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) -}}
{{- end -}}

{{/* An object's name. Takes (list root suffix [limit]); the limit is that of Services and of Deployments' pods, 63, unless the kind has another. */}}
{{- define "marquee.name" -}}
{{- $limit := ternary (last .) 63 (gt (len .) 2) -}}
{{- include "marquee.cut" (list (printf "%s-%s" (include "marquee.fullname" (index . 0)) (index . 1)) $limit) -}}
{{- end -}}

{{/* The name of the chart's PriorityClass, which belongs to no namespace. Neither of its parts has a dot. */}}
{{- define "marquee.priorityClassName" -}}
{{- printf "%s.%s" (include "marquee.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* A name as it is, or what fits of it, with a hash by which long names that begin alike differ. Takes (list name limit). */}}
{{- define "marquee.cut" -}}
{{- $name := index . 0 -}}
{{- $limit := int (index . 1) -}}
{{- if le (len $name) $limit -}}{{- $name -}}
{{- else -}}
{{- printf "%s-%s" (trunc (int (sub $limit 9)) $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* Fail for an upgrade that would rename objects: long names used to be cut without a hash. */}}
{{- define "marquee.checkNames" -}}
{{- $before := include "marquee.wholeName" . | trunc 40 | trimSuffix "-" -}}
{{- if and .Release.IsUpgrade (ne $before (include "marquee.fullname" .)) -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (printf "%s-gateway" $before) -}}
{{- if eq (index .metadata.labels "app.kubernetes.io/instance") $.Release.Name }}{{ fail (printf "fullnameOverride: set it to %s, as this release's objects are called; under other names they would all be replaced at once, at other addresses" $before) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods are found; they never change. Takes (list root component). */}}
{{- define "marquee.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The beginning of an object's metadata: name, labels, annotations. Takes (list root component name [annotations [labels]]). */}}
{{- define "marquee.metadata" -}}
{{- $root := index . 0 -}}
{{- $annotations := $root.Values.annotations | default dict -}}
{{- if gt (len .) 3 -}}{{- $annotations = merge (dict) (index . 3) $annotations -}}{{- end -}}
{{- $labels := $root.Values.labels | default dict -}}
{{- if gt (len .) 4 -}}{{- $labels = merge (dict) (index . 4) $labels -}}{{- end -}}
name: {{ index . 2 | quote }}
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
{{- include "marquee.mirrored" (list $root $image.repository) -}}
{{- if $image.digest -}}@{{- $image.digest -}}
{{- else -}}:{{- $image.tag | default $root.Values.images.tag | default $root.Chart.AppVersion -}}
{{- end -}}
{{- end -}}

{{/* A repository or reference, with the registry before it unless it begins with a host, as Docker tells one. Takes (list root reference). */}}
{{- define "marquee.mirrored" -}}
{{- $reference := index . 1 -}}
{{- $registry := (index . 0).Values.images.registry -}}
{{- if and $registry (not (regexMatch "^(localhost|[^/]*[.:][^/]*)/" $reference)) -}}{{- trimSuffix "/" $registry -}}/{{- end -}}
{{- $reference -}}
{{- end -}}

{{/* The servers that are deployed, the gateway, recognizers and the library, and the page, each with its defaults filled in: name → values, as YAML. */}}
{{- define "marquee.components" -}}
{{- $all := include "marquee.servers" . | fromYaml -}}
{{- if include "marquee.hasPage" . -}}
{{- $page := mergeOverwrite (deepCopy .Values.defaults) .Values.web -}}
{{- include "marquee.tidy" $page -}}
{{- $_ := set $all "web" $page -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Make numbers of texts that are some, as those of `--set-string`, and empty maps and lists of nulls. Takes a component's values, and changes them. */}}
{{- define "marquee.tidy" -}}
{{- $values := . -}}
{{- range list "affinity" "env" "nodeSelector" "podAnnotations" "podLabels" -}}
{{- if not (get $values .) -}}{{- $_ := set $values . (dict) -}}{{- end -}}
{{- end -}}
{{- range list "containers" "initContainers" "tolerations" -}}
{{- if not (get $values .) -}}{{- $_ := set $values . (list) -}}{{- end -}}
{{- end -}}
{{- range list "replicas" "startupSeconds" "drain.delaySeconds" "drain.seconds" "probe.port" "autoscaling.minReplicas" "autoscaling.maxReplicas" "autoscaling.cpu" "autoscaling.inFlight" "serving.startupSeconds" "serving.gpuResource.count" "serving.model.watchSeconds" "serving.model.keep" -}}
{{- $keys := splitList "." . -}}
{{- $map := $values -}}
{{- range initial $keys -}}{{- $map = get ($map | default dict) . -}}{{- end -}}
{{- $value := index ($map | default dict) (last $keys) -}}
{{- if kindIs "string" $value -}}{{- $_ := set $map (last $keys) (int $value) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Those without the page. */}}
{{- define "marquee.servers" -}}
{{- $all := dict "gateway" (mergeOverwrite (deepCopy .Values.defaults) .Values.gateway) -}}
{{- range $name, $own := .Values.recognizers -}}
{{- if has $name (list "gateway" "library" "web") }}{{ fail (printf "recognizers.%s: a recognizer cannot be called %s" $name $name) }}{{ end -}}
{{- if and (kindIs "map" $own) (ne ($own).deploy false) -}}
{{- if and (($own).serving).enabled (has $name (list "fetch" "watch" "serving")) }}{{ fail (printf "recognizers.%s: call it otherwise; with serving.enabled, another container of its pods is called %s" $name $name) }}{{ end -}}
{{- $_ := set $all $name (mergeOverwrite (deepCopy $.Values.defaults) $own) -}}
{{- if not (index $all $name).image.repository }}{{ fail (printf "recognizers.%s.image.repository: say which image it runs, or set deploy: false" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if .Values.library.enabled -}}{{- $_ := set $all "library" (mergeOverwrite (deepCopy .Values.defaults) .Values.library) -}}{{- end -}}
{{- range $all -}}{{- include "marquee.tidy" . -}}{{- end -}}
{{- toYaml $all -}}
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
{{- $values.serviceAccount.name | default (include "marquee.name" (list (index . 0) (index . 1))) -}}
{{- else -}}
{{- $values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}
