"""Tests of values that the chart refuses."""

import pytest

from services.names import RECOGNIZERS
from tests.deploy import charts

_IMAGE = {"image": {"repository": "x"}}
_SVM_PATH = "/recognizers/svm"
_CALLERS = {"callers": {"secretName": "c"}}
_TOKEN = {"auth": {"mode": "token", **_CALLERS}, "tls": {"secretName": "t"}}
_MTLS = {"auth": {"mode": "mtls"}, "tls": {"secretName": "t"}}
_INGRESS = {"enabled": True, "host": "faces.example.com"}
_ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["faces.example.com"]}
_DEREGISTRATION = "alb.ingress.kubernetes.io/target-group-attributes"
_IDLE = "alb.ingress.kubernetes.io/load-balancer-attributes"
_GROUP = {"alb.ingress.kubernetes.io/group.name": "marquee"}
_ELSEWHERE = {"deploy": False, "gateway": {"target": "eu:50051"}}
_ISSUER = {"issuer": "https://id.example"}
_TOKEN_PAGE = {"enabled": True, "gatewayToken": {"secretName": "w"}}
_DATABASE = {"enabled": True, "database": {"secretName": "d"}}
_LIBRARY = _DATABASE | {"store": {"url": "s3://a/b"}}
WRONG = [
    ({"gatway": {}}, "'gatway' not allowed"),
    ({"gateway": {"replica": 2}}, "at '/gateway': additional properties 'replica'"),
    ({"gateway": {"replicas": "two"}}, "/gateway/replicas"),
    ({"gateway": {"replicas": -1}}, "/gateway/replicas"),
    ({"gateway": {"strategy": {"rollingUpdate": {"maxSurge": "one"}}}}, "/gateway/strategy/rollingUpdate/maxSurge"),
    ({"gateway": {"order": "svm"}}, "/gateway/order"),
    ({"gateway": {"order": ["svn"]}}, 'gateway.order: there is no recognizer "svn"'),
    ({"gateway": {"service": {"type": "Headless"}}}, "/gateway/service/type"),
    ({"gateway": {"env": {"MARQUEE_SVM_MODEL": "s3://a/b"}}}, "MARQUEE_SVM_MODEL"),
    ({"images": {"pullPolicy": "Sometimes"}}, "/images/pullPolicy"),
    ({"images": {"tag": "a b"}}, "/images/tag"),
    ({"images": {"registry": "https://registry.example"}}, "/images/registry"),
    ({"defaults": {"image": {"repository": "registry.example/marquee:1.0"}}}, "/defaults/image/repository"),
    ({"ip": {"families": ["IPv6", "IPv4"]}}, "ip.familyPolicy: set it to PreferDualStack"),
    ({"images": {"pullSecrets": ["registry"]}}, "/images/pullSecrets/0"),
    ({"defaults": {"image": {"digest": "latest"}}}, "/defaults/image/digest"),
    ({"defaults": {"zoneSpread": "Sometimes"}}, "/defaults/zoneSpread"),
    ({"defaults": {"resources": {"limits": {"memory": "1 GB"}}}}, "/defaults/resources/limits/memory"),
    ({"defaults": {"drain": {"seconds": 301}}}, "/defaults/drain/seconds"),
    ({"recognizers": {"svm": {"env": {"MARQUEE_SVM_MODLE": "x"}}}}, "MARQUEE_SVM_MODLE"),
    ({"recognizers": {"svm": {"env": {"A-B": "x"}}}}, "A-B"),
    ({"recognizers": {"svm": {"gateway": {"timeot": 3}}}}, f"{_SVM_PATH}/gateway': additional properties 'timeot'"),
    ({"recognizers": {"svm": {"gateway": {"timeout": 0}}}}, f"{_SVM_PATH}/gateway/timeout"),
    ({"recognizers": {"svm": {"gateway": {"max_in_flight": 0}}}}, f"{_SVM_PATH}/gateway/max_in_flight"),
    ({"recognizers": {"svm": {"autoscaling": {"type": "vpa"}}}}, f"{_SVM_PATH}/autoscaling/type"),
    ({"recognizers": {"svm": {"autoscaling": {"type": "hpa", "cpu": 0}}}}, "recognizers.svm.autoscaling: set cpu"),
    (
        {"recognizers": {"svm": {"autoscaling": {"type": "hpa", "minReplicas": 20}}}},
        "svm.autoscaling.minReplicas: it is",
    ),
    ({"recognizers": {"Svm": {}}}, "'Svm'"),
    ({"recognizers": {"gateway": {"image": {"repository": "x"}}}}, "'gateway'"),
    ({"recognizers": {"test": _IMAGE}}, "'test'"),
    ({"recognizers": {"gateway-headless": _IMAGE}}, "'gateway-headless'"),
    ({"recognizers": {"default-deny": _IMAGE}}, "'default-deny'"),
    ({"recognizers": {"actors-": _IMAGE}}, "'actors-'"),
    ({"recognizers": {"watch": _IMAGE | {"serving": {"enabled": True}}}}, "recognizers.watch: call it otherwise"),
    ({"fullnameOverride": "1st"}, "/fullnameOverride"),
    ({"fullnameOverride": "a.b"}, "/fullnameOverride"),
    ({"nameOverride": "a.b"}, "/nameOverride"),
    ({"labels": {"app.kubernetes.io/name": "faces"}}, "app.kubernetes.io/name"),
    ({"labels": {"team": "a b"}}, "/labels/team"),
    ({"defaults": {"replicas": "1001"}}, "/defaults/replicas"),
    ({"alerts": {"availability": "1.5"}}, "/alerts/availability"),
    ({"web": {"uploads": {"sizeLimit": "1.2.3Gi"}}}, "/web/uploads/sizeLimit"),
    ({"ip": {"listen": "eth0"}}, "/ip/listen"),
    ({"defaults": {"probes": {"startup": {"periodSecond": 1}}}}, "/defaults/probes/startup"),
    (
        {"defaults": {"probes": {"startup": {"exec": {}}}}, "web": {"probes": {"startup": {"httpGet": {}}}}},
        "web.probes.startup: use one of exec and httpGet",
    ),
    ({"recognizers": {"actors": {}}}, "recognizers.actors.image.repository"),
    ({"recognizers": {"eu": {"deploy": False}}}, "recognizers.eu.gateway.target"),
    ({"recognizers": {"keras": {"serving": {"gpus": 1}}}}, "'gpus' not allowed"),
    ({"recognizers": {"keras": {"serving": {"model": {"source": "/models"}}}}}, "serving/model/source"),
    ({"recognizers": dict.fromkeys(RECOGNIZERS)}, "recognizers"),
    ({"ingress": {"enabled": True}, "auth": {"allowAnonymousIngress": True}}, "ingress.host"),
    ({"ingress": _INGRESS}, "ingress.enabled"),
    ({"gateway": {"service": {"type": "LoadBalancer"}}}, "gateway.service.type: whoever reaches a LoadBalancer"),
    ({"gateway": {"service": {"type": "NodePort"}}}, "gateway.service.type: whoever reaches a NodePort"),
    ({"auth": {"mode": "open"}}, "/auth/mode"),
    ({"auth": {"mode": "token"}, "tls": {"secretName": "t"}}, "auth.callers.secretName"),
    ({"auth": {"mode": "token", **_CALLERS}}, "tls.secretName, tls.issuerRef or gateway.tls.secretName"),
    ({"auth": {"mode": "mtls"}}, "auth.mode is mtls"),
    (_MTLS | {"tls": {}, "gateway": {"tls": {"secretName": "g"}}}, f"recognizers.{min(RECOGNIZERS)}.tls.secretName"),
    (_TOKEN | {"tls": {"secretName": "t", "issuerRef": {"name": "i"}}}, "tls.secretName: leave it out"),
    (_TOKEN | {"auth": {"mode": "token", "jwt": _ISSUER}}, "auth.jwt.audience"),
    (_TOKEN | {"auth": {"mode": "token", "jwt": {"issuer": "http://id"}}}, "/auth/jwt/issuer"),
    (_TOKEN | {"auth": _TOKEN["auth"] | {"jwt": {"audience": "a"}}}, "auth.jwt.audience: it has no effect"),
    (_TOKEN | {"auth": _TOKEN["auth"] | {"clientCa": {"secretName": "c"}}}, "auth.clientCa.secretName: it has no"),
    (_TOKEN | {"tls": {"issuerRef": {"kind": "Issuer"}}}, "tls.issuerRef.name"),
    (_TOKEN | {"gateway": {"tls": {"dnsNames": ["a.example"]}}}, "gateway.tls.dnsNames: it has no effect"),
    (_TOKEN | {"gateway": {"env": {"MARQUEE_ALLOW_ANONYMOUS": True}}}, "gateway.env.MARQUEE_ALLOW_ANONYMOUS"),
    (_TOKEN | {"recognizers": {"svm": {"env": {"MARQUEE_CALLERS": "f"}}}}, "recognizers.svm.env.MARQUEE_CALLERS"),
    (_TOKEN | {"recognizers": {"actors": _IMAGE}}, "recognizers.actors.probe.port"),
    (
        _TOKEN | {"recognizers": {"svm": {"gateway": {"tls": "plaintext"}, "tls": {"secretName": "s"}}}},
        "recognizers.svm.tls.secretName: it has no effect",
    ),
    (_TOKEN | {"gateway": {"probe": {"port": 50051}}}, "gateway.probe.port"),
    (_MTLS | {"ingress": _INGRESS}, "ingress.type"),
    ({"auth": _CALLERS}, "auth.callers.secretName: it has no effect"),
    ({"auth": {"jwt": _ISSUER}}, "auth.jwt.issuer: it has no effect"),
    ({"auth": {"clientCa": {"secretName": "c"}}}, "auth.clientCa.secretName: it has no effect"),
    ({"tls": {"secretName": "t"}}, "tls.secretName: it has no effect"),
    ({"tls": {"issuerRef": {"name": "i"}}}, "tls.issuerRef: it has no effect"),
    ({"gateway": {"tls": {"secretName": "g"}}}, "gateway.tls.secretName: it has no effect"),
    ({"gateway": {"env": {"MARQUEE_JWT_ISSUER": "https://id.example"}}}, "gateway.env.MARQUEE_JWT_ISSUER"),
    ({"auth": {"mode": None}}, "at '/auth': missing property 'mode'"),
    ({"recognizers": {"eu": _ELSEWHERE}}, "recognizers.eu.gateway.tls"),
    ({"recognizers": {"eu": {"deploy": False, "gateway": {"target": "eu:50051", "tls": None}}}}, "eu.gateway.tls"),
    ({"gateway": {"probe": {"port": 9464}}}, "/gateway/probe/port"),
    ({"recognizers": {"svm": {"probe": {"port": 0}}}}, f"{_SVM_PATH}/probe/port"),
    ({"recognizers": {"svm": {"tls": {"dnsNames": []}}}}, f"{_SVM_PATH}/tls': additional properties 'dnsNames'"),
    ({"recognizers": {"web": _IMAGE}}, "'web'"),
    ({"web": {"ingress": _INGRESS}}, "web.ingress.enabled: whoever reaches it could use the page"),
    ({"web": {"service": {"type": "NodePort"}}}, "web.service.type: whoever reaches a NodePort"),
    ({"web": {"ingress": {"enabled": True}}, "auth": {"allowAnonymousIngress": True}}, "web.ingress.host"),
    ({"web": {"oidc": _ISSUER}}, "web.oidc.issuer: it has no effect while auth.mode is anonymous"),
    ({"web": {"gatewayToken": {"secretName": "w"}}}, "web.gatewayToken.secretName: it has no effect while auth.mode"),
    (
        {"web": {"enabled": False, "tls": {"secretName": "w"}}},
        "web.tls.secretName: it has no effect unless web.enabled",
    ),
    ({"web": {"env": {"MARQUEE_OIDC_ISSUER": "https://id.example"}}}, "web.env.MARQUEE_OIDC_ISSUER"),
    ({"web": {"env": {"MARQUEE_SVM_MODEL": "s3://a/b"}}}, "MARQUEE_SVM_MODEL"),
    ({"web": {"probe": {"port": 8080}}}, "at '/web': additional properties 'probe'"),
    ({"web": {"url": "marquee.example"}}, "/web/url"),
    ({"web": {"url": "https://marquee.example?a=b"}}, "/web/url"),
    ({"ip": None, "web": None}, "missing properties 'ip', 'web'"),
    ({"recognizers": {"library": _IMAGE}}, "'library'"),
    ({"library": {"enabled": True}}, "library.database.secretName: name the Secret"),
    ({"library": _DATABASE}, "library.store.url: say where"),
    ({"library": _DATABASE | {"store": {"url": "https://a.example"}}}, "/library/store/url"),
    ({"library": _DATABASE | {"store": {"url": "file:///store"}}}, "library.store.url: name a claim"),
    ({"library": _DATABASE | {"store": {"url": "s3://a", "existingClaim": "c"}}}, "library.store.url: leave it out"),
    (
        {"library": _LIBRARY | {"gatewayToken": {"secretName": "l"}}},
        "library.gatewayToken.secretName: it has no effect",
    ),
    ({"library": _LIBRARY | {"tls": {"secretName": "l"}}}, "library.tls.secretName: it has no effect"),
    ({"library": _LIBRARY | {"env": {"MARQUEE_SVM_MODEL": "s3://a/b"}}}, "MARQUEE_SVM_MODEL"),
    ({"library": _LIBRARY | {"env": {"MARQUEE_ALLOW_ANONYMOUS": True}}}, "library.env.MARQUEE_ALLOW_ANONYMOUS"),
    (_TOKEN | {"library": _LIBRARY}, "library.gatewayToken.secretName: name the Secret"),
    (_MTLS | {"library": _LIBRARY}, "auth.callers.secretName: name the Secret with the register"),
    ({"alerts": {"minimumFailures": None}}, "at '/alerts': missing property 'minimumFailures'"),
    ({"defaults": {"drain": {"seconds": None}}}, "at '/defaults/drain': missing property 'seconds'"),
    ({"web": {"env": {"MARQUEE_OIDC_CLIENT_ID": "marquee"}}}, "web.env.MARQUEE_OIDC_CLIENT_ID"),
    (
        {"auth": {"allowAnonymousIngress": True}, "web": {"service": {"type": "LoadBalancer"}}},
        "web.url: say at which URL visitors reach it through a LoadBalancer",
    ),
    (_TOKEN | {"web": _TOKEN_PAGE | {"url": "http://marquee.example"}}, "web.url: it has to be https://"),
    (_TOKEN | {"ingress": _INGRESS, "web": _TOKEN_PAGE | {"ingress": _INGRESS}}, "web.ingress.host: use another"),
    ({"web": {"trustedProxies": ["nginx"]}}, "/web/trustedProxies/0"),
    (_TOKEN | {"web": {"enabled": True}}, "web.gatewayToken.secretName: name the Secret"),
    (_TOKEN | {"web": {"ingress": _INGRESS}}, "web.ingress.enabled: it has no effect unless web.enabled"),
    (_TOKEN | {"web": _TOKEN_PAGE | {"tls": {"secretName": "w"}}}, "web.tls.secretName: it has no effect while"),
    (_TOKEN | {"web": _TOKEN_PAGE | {"oidc": _ISSUER}}, "web.oidc.clientId"),
    (_TOKEN | {"web": _TOKEN_PAGE | {"oidc": {"clientId": "c"}}}, "web.oidc.clientId: it has no effect without"),
    (_TOKEN | {"web": _TOKEN_PAGE | {"env": {"MARQUEE_ALLOW_ANONYMOUS": True}}}, "web.env.MARQUEE_ALLOW_ANONYMOUS"),
    (_MTLS | {"web": {"enabled": True}}, "web.oidc.issuer: set it, or auth.callers.secretName"),
    ({"ingress": {"type": "traefik"}}, "/ingress/type"),
    (_TOKEN | {"ingress": _INGRESS | {"type": "nginx"}}, "ingress.type: ingress-nginx is retired"),
    (_TOKEN | {"ingress": _INGRESS | {"type": "other"}}, "ingress.className: say which controller"),
    ({"route": _ROUTE}, "route.enabled: whoever reaches it could call"),
    ({"web": {"route": _ROUTE}}, "web.route.enabled: whoever reaches it could use the page"),
    (_TOKEN | {"web": {"route": _ROUTE}}, "web.route.enabled: it has no effect unless web.enabled"),
    (_TOKEN | {"route": {"enabled": True, "hostnames": ["faces.example.com"]}}, "route.parentRefs: name the Gateway"),
    (_TOKEN | {"route": _ROUTE | {"hostnames": []}}, "route.hostnames: say under which name"),
    (_TOKEN | {"route": _ROUTE, "web": _TOKEN_PAGE | {"route": _ROUTE}}, "web.route.hostnames: use another"),
    (
        _TOKEN | {"web": _TOKEN_PAGE | {"ingress": _INGRESS, "route": _ROUTE | {"hostnames": ["page.example.com"]}}},
        "web.route.hostnames: use web.ingress.host",
    ),
    ({"web": {"route": {"hostnames": ["a.example.com", "b.example.com"]}}}, "/web/route/hostnames"),
    (_TOKEN | {"route": {"backendTls": {"publicCa": True}}}, "route.backendTls.publicCa: it has no effect without"),
    (
        _TOKEN | {"route": _ROUTE | {"backendTls": {"publicCa": True, "caCertificateRefs": [{"name": "ca"}]}}},
        "route.backendTls.caCertificateRefs: leave it out",
    ),
    (_MTLS | {"route": _ROUTE | {"filters": [{"type": "ExtensionRef"}]}}, "route.filters: it has no effect while"),
    (
        _TOKEN | {"route": _ROUTE, "ingress": {"tls": {"certificate": {"enabled": True}}}},
        "ingress.tls.certificate.enabled: it has no effect without an ingress",
    ),
    (
        _TOKEN | {"ingress": _INGRESS | {"annotations": {_DEREGISTRATION: "deregistration_delay.timeout_seconds=300"}}},
        "ingress.annotations: deregistration_delay.timeout_seconds may be 80 at most",
    ),
    (
        _TOKEN | {"ingress": _INGRESS, "gateway": {"drain": {"delaySeconds": 5}}},
        "gateway.drain.delaySeconds: say 15 or more",
    ),
    (
        _TOKEN
        | {"ingress": _INGRESS | {"annotations": _GROUP | {_IDLE: "idle_timeout.timeout_seconds=300"}}}
        | {"web": _TOKEN_PAGE | {"ingress": {"enabled": True, "host": "page.example.com", "annotations": _GROUP}}},
        "web.ingress.annotations: the two Ingresses of the load balancer marquee differ",
    ),
    ({"networkPolicy": {"enabled": "yes"}}, "/networkPolicy/enabled"),
    ({"podMonitor": {"interval": "often"}}, "/podMonitor/interval"),
    ({"priorityClass": {"value": 2_000_000_000}}, "/priorityClass/value"),
]


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[named for _, named in WRONG])
def test_wrong_value_is_refused_by_name(values: charts.Object, named: str) -> None:
    """A wrong value renders nothing, and the message names the value."""
    assert named in charts.refusal(values)
