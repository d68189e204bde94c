{{/*
The number of pods that a Deployment states, or nothing, since an autoscaler's number is left alone. But what helm stated once
and then no longer does, becomes 1: so from then on it states the number that run. Takes (list root name values).
*/}}
{{- define "marquee.replicas" -}}
{{- $values := index . 2 -}}
{{- if eq $values.autoscaling.type "none" -}}
{{- int $values.replicas -}}
{{- else -}}
{{- with lookup "apps/v1" "Deployment" (index . 0).Release.Namespace (index . 1) -}}
{{- $scaled := include "marquee.hasAutoscaler" $ -}}
{{- if or (not $scaled) (hasKey (.metadata.annotations | default dict) "marquee/replicas") -}}
{{- $paused := and $scaled (eq 0 (int .spec.replicas)) -}}
{{- if $paused -}}0{{- else -}}{{- max .spec.replicas $values.autoscaling.minReplicas -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether the Deployment has an autoscaler already; "true" or nothing. Takes the same. */}}
{{- define "marquee.hasAutoscaler" -}}
{{- $root := index . 0 -}}
{{- if lookup "autoscaling/v2" "HorizontalPodAutoscaler" $root.Release.Namespace (index . 1) -}}true
{{- else if $root.Capabilities.APIVersions.Has "keda.sh/v1alpha1" -}}
{{- if lookup "keda.sh/v1alpha1" "ScaledObject" $root.Release.Namespace (index . 1) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/*
How pods are replaced. If they ask for GPUs, one goes before the next one comes, since no other GPU may be free; a single one
is recreated, because helm waits for no pod that may be unavailable. Takes a component's values.
*/}}
{{- define "marquee.strategy" -}}
{{- $steps := (.strategy).rollingUpdate | default dict -}}
{{- $gpu := include "marquee.wantsGpu" . | eq "true" -}}
{{- $single := and $gpu (not $steps) (include "marquee.mostPods" . | eq "1") -}}
{{- $type := (.strategy).type | default (ternary "Recreate" "RollingUpdate" $single) -}}
type: {{ $type }}
{{- if eq $type "RollingUpdate" }}
{{- $surge := hasKey $steps "maxSurge" | ternary $steps.maxSurge (ternary 0 1 $gpu) }}
{{- $unavailable := has (toString $surge) (list "0" "0%") | ternary 1 0 }}
rollingUpdate:
  maxSurge: {{ $surge }}
  maxUnavailable: {{ hasKey $steps "maxUnavailable" | ternary $steps.maxUnavailable $unavailable }}
{{- end }}
{{- end -}}

{{/* Whether a pod asks for a GPU, or another device that a node can run out of; "true" or nothing. Takes a component's values. */}}
{{- define "marquee.wantsGpu" -}}
{{- $devices := or .resourceClaims (and (.serving).enabled .serving.gpu) -}}
{{- range concat (list . (ternary .serving (dict) (not (not (.serving).enabled)))) .initContainers .containers -}}
{{- $devices = or $devices (keys ((.resources).limits | default dict) | join " " | contains "/") -}}
{{- end -}}
{{- if $devices -}}true{{- end -}}
{{- end -}}
