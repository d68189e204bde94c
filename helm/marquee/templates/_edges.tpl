{{/* An Ingress's annotations: the operator's, and for an ALB the chart's own, as YAML. Takes (list root component ingress); an ingress has key, port, values and own. */}}
{{- define "marquee.ingressAnnotations" -}}
{{- $given := (index . 2).values.annotations | default dict -}}
{{- $all := merge (dict) $given -}}
{{- if eq (index . 2).values.type "alb" -}}
{{- $all = merge $all (index . 2).own (dict "alb.ingress.kubernetes.io/target-type" "ip" "alb.ingress.kubernetes.io/listen-ports" `[{"HTTPS": 443}]`) -}}
{{- /* Calls may last a minute, and the load balancer takes pings for silence. */}}
{{- $attributes := dict "load-balancer-attributes" "idle_timeout.timeout_seconds=120" "target-group-attributes" (printf "deregistration_delay.timeout_seconds=%s" (include "marquee.deregistrationSeconds" (list (index . 0) (index . 1)))) -}}
{{- range $kind, $own := $attributes -}}
{{- $name := printf "alb.ingress.kubernetes.io/%s" $kind -}}
{{- $attribute := splitList "=" $own | first -}}
{{- $before := index $given $name | default "" -}}
{{- if not (contains (printf "%s=" $attribute) $before) -}}
{{- $_ := set $all $name (list $before $own | compact | join ",") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Seconds for which a load balancer waits for the running calls of a pod that ends: until shortly before the pod does. Takes (list root component). */}}
{{- define "marquee.deregistrationSeconds" -}}
{{- $drain := (index (include "marquee.components" (index . 0) | fromYaml) (index . 1)).drain -}}
{{- sub (add $drain.delaySeconds $drain.seconds) 10 | max 0 -}}
{{- end -}}

{{/* Fail for two Ingresses that ask different things of the load balancer they share: its controller would serve neither. Takes ingresses by component. */}}
{{- define "marquee.checkGroup" -}}
{{- $idle := dict -}}
{{- range . -}}
{{- $group := index .annotations "alb.ingress.kubernetes.io/group.name" -}}
{{- $seconds := index .annotations "alb.ingress.kubernetes.io/load-balancer-attributes" | default "" | regexFind "idle_timeout.timeout_seconds=[0-9]+" -}}
{{- if and $group (ne (index $idle $group | default $seconds) $seconds) }}{{ fail (printf "%s.annotations: the two Ingresses of the load balancer %s differ in idle_timeout.timeout_seconds" .key $group) }}{{ end -}}
{{- if $group }}{{ $_ := set $idle $group $seconds }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The names under which a component is reached from outside, as a JSON list. Takes its ingress and its route. */}}
{{- define "marquee.outsideHosts" -}}
{{- $hosts := list -}}
{{- if (index . 0).enabled }}{{ $hosts = append $hosts (index . 0).host }}{{ end -}}
{{- if (index . 1).enabled }}{{ $hosts = concat $hosts (index . 1).hostnames }}{{ end -}}
{{- compact $hosts | uniq | toJson -}}
{{- end -}}

{{/* Fail for ways in that cannot work. Takes root. */}}
{{- define "marquee.checkEdges" -}}
{{- $values := .Values -}}
{{- $mode := $values.auth.mode -}}
{{- $edges := dict "gateway" (dict "at" "" "ingress" $values.ingress "route" $values.route) -}}
{{- if include "marquee.hasPage" . }}{{ $_ := set $edges "web" (dict "at" "web." "ingress" $values.web.ingress "route" $values.web.route) }}{{ end -}}
{{- range $component, $edge := $edges -}}
{{- include "marquee.checkIngress" (list $ $component (printf "%singress" $edge.at) $edge.ingress) -}}
{{- include "marquee.checkRoute" (list (printf "%sroute" $edge.at) $edge.route) -}}
{{- if not $edge.ingress.enabled }}{{ include "marquee.checkIdle" (list "without an ingress: a route's certificate is its Gateway's" (dict (printf "%singress.tls.certificate.enabled" $edge.at) $edge.ingress.tls.certificate.enabled)) }}{{ end -}}
{{- end -}}
{{- if and (eq $mode "mtls") $values.ingress.enabled (eq $values.ingress.type "alb") }}{{ fail "ingress.type: an ALB has no client certificate to show, which auth.mode mtls asks for; set gateway.service.type to LoadBalancer instead, or route.enabled, whose Gateway passes TLS through" }}{{ end -}}
{{- $route := $values.route -}}
{{- $tls := $route.backendTls -}}
{{- if not (and $route.enabled (eq $mode "token")) -}}
{{- include "marquee.checkIdle" (list "without route.enabled and auth.mode token" (dict "route.backendTls.caCertificateRefs" $tls.caCertificateRefs "route.backendTls.serverName" $tls.serverName "route.backendTls.publicCa" $tls.publicCa)) -}}
{{- end -}}
{{- if and $tls.publicCa $tls.caCertificateRefs }}{{ fail "route.backendTls.caCertificateRefs: leave it out, or publicCa" }}{{ end -}}
{{- if eq $mode "mtls" }}{{ include "marquee.checkIdle" (list "while auth.mode is mtls, as the Gateway passes TLS through" (dict "route.filters" $route.filters)) }}{{ end -}}
{{- if hasKey $edges "web" -}}
{{- $page := include "marquee.outsideHosts" (list $values.web.ingress $values.web.route) | fromJsonArray -}}
{{- range include "marquee.outsideHosts" (list $values.ingress $values.route) | fromJsonArray -}}
{{- if has . $page }}{{ fail (printf "%s: use another than %s, under which the gateway is reached" (ternary "web.ingress.host" "web.route.hostnames" (and $values.web.ingress.enabled (eq . $values.web.ingress.host))) .) }}{{ end -}}
{{- end -}}
{{- if gt (len $page) 1 }}{{ fail "web.route.hostnames: use web.ingress.host, as requests for other hosts are refused" }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Takes (list root component key ingress). */}}
{{- define "marquee.checkIngress" -}}
{{- $key := index . 2 -}}
{{- $ingress := index . 3 -}}
{{- if $ingress.enabled -}}
{{- if not $ingress.host }}{{ fail (printf "%s.host: say under which name it is reached" $key) }}{{ end -}}
{{- if eq $ingress.type "nginx" }}{{ fail (printf "%s.type: ingress-nginx is retired, so the type nginx is gone; set %s.enabled for the Gateway API, or the type other with the className and the annotations of your controller, of which the chart's README has examples" $key (replace "ingress" "route" $key)) }}{{ end -}}
{{- if and (eq $ingress.type "other") (not $ingress.className) }}{{ fail (printf "%s.className: say which controller, as the type is other" $key) }}{{ end -}}
{{- if eq $ingress.type "alb" -}}
{{- $component := index . 1 -}}
{{- $drain := (index (include "marquee.components" (index . 0) | fromYaml) $component).drain -}}
{{- if lt (int $drain.delaySeconds) 15 }}{{ fail (printf "%s.drain.delaySeconds: say 15 or more, as an ALB sends calls to a pod that ends for up to that long" $component) }}{{ end -}}
{{- $asked := index ($ingress.annotations | default dict) "alb.ingress.kubernetes.io/target-group-attributes" | default "" | regexFind "deregistration_delay.timeout_seconds=[0-9]+" | splitList "=" | last | default "0" -}}
{{- $most := include "marquee.deregistrationSeconds" (list (index . 0) $component) -}}
{{- if gt (int $asked) (int $most) }}{{ fail (printf "%s.annotations: deregistration_delay.timeout_seconds may be %s at most, as a pod ends %d seconds after its load balancer hears of it; raise %s.drain for more" $key $most (add $drain.delaySeconds $drain.seconds) $component) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes (list key route). */}}
{{- define "marquee.checkRoute" -}}
{{- $key := index . 0 -}}
{{- $route := index . 1 -}}
{{- if $route.enabled -}}
{{- if not $route.parentRefs }}{{ fail (printf "%s.parentRefs: name the Gateway that it belongs to" $key) }}{{ end -}}
{{- if not $route.hostnames }}{{ fail (printf "%s.hostnames: say under which name it is reached" $key) }}{{ end -}}
{{- end -}}
{{- end -}}
