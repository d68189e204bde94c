"""The content of values.schema.json. The servers' own settings come from their code."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from helm.numbers import Schema, integer, lenient, number
from services.gateway.config import BackendConfig, GatewayConfig
from services.gateway.settings import GatewaySettings
from services.library.settings import LibrarySettings
from services.names import RECOGNIZERS, settings_of
from services.runtime.server.metrics import BUCKETS
from services.runtime.settings import PREFIX, LeafSettings, ProcessSettings, Settings
from services.web.settings import WebSettings

_DEFINITION = "#/definitions/{model}"
_CHART = Path(__file__).parent / "marquee"
LEAVES: dict[str, type[LeafSettings]] = {name: settings_of(name)[0] for name in RECOGNIZERS}


def schema() -> Schema:
    """Return the JSON Schema, draft 7, which every helm 3 and 4 reads."""
    entry, file = (kind.model_json_schema(ref_template=_DEFINITION) for kind in (BackendConfig, GatewayConfig))
    definitions = {name: one | {"properties": lenient(one["properties"])} for name, one in file.pop("$defs").items()}
    del definitions["BackendConfig"], definitions["CalibrationConfig"]["required"]  # the chart says where the table is
    whole: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart marquee",
        "definitions": {**definitions, "Probe": _PROBE},
        **_object(
            global_=_ANY_OBJECT,
            nameOverride={**_LABEL, "maxLength": 63},
            fullnameOverride={"type": "string", "pattern": "^([a-z]([a-z0-9-]*[a-z0-9])?)?$", "maxLength": 253},
            labels={**_LABELS, "propertyNames": {**_LABELS["propertyNames"], "not": {"enum": _OWN_LABELS}}},
            annotations=_TEXTS,
            images=_IMAGES,
            ip=_object(listen={"enum": ["0.0.0.0", "::"]}, familyPolicy={"enum": _POLICIES}, families=_FAMILIES),
            auth=_AUTH,
            tls=_object(secretName=_NAME, issuerRef=_ISSUER),
            defaults=_object(**_workload(GatewaySettings, WebSettings, LibrarySettings, *LEAVES.values())),
            gateway=_gateway(file["properties"] | {"cache": definitions.pop("CacheConfig")}),
            recognizers=_recognizers(_object(**lenient(entry["properties"]))),
            web=_web(),
            library=_library(),
            ingress=_INGRESS,
            route=_object(**_ROUTE, hostnames=_list(_DNS_NAME), backendTls=_BACKEND_TLS),
            networkPolicy=_NETWORK_POLICY,
            priorityClass=_object(create=_BOOLEAN, value=integer(-2147483648, 1000000000)),
            podMonitor=_object(enabled=_BOOLEAN, interval=_DURATION, labels=_TEXTS),
            dashboards=_object(enabled=_BOOLEAN, labels=_TEXTS, annotations=_TEXTS),
            alerts=_alerts(),
            extraObjects={"type": "array", "items": {"type": ["object", "string"]}},
        ),
    }
    return _demand(whole, _defaults())


def alerts() -> list[str]:
    """Return the names of the alerts, which are those of their files."""
    return sorted(path.stem for path in (_CHART / "alerts").glob("*.yaml"))


def _defaults() -> dict[str, Any]:
    """Return the chart's values that have no other behind them, as the gateway's have those of `defaults`."""
    text = (_CHART / "values.yaml").read_text("utf-8")
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    del values["recognizers"]
    for name in ("gateway", "library", "web"):
        values[name] = {key: value for key, value in values[name].items() if key not in values["defaults"]}
    return values


def _demand(schema_: Schema, values: dict[str, Any]) -> Schema:
    """Refuse values that lack what templates read, as after a null, or --reuse-values from an older chart."""
    properties = schema_["properties"]
    filled = {name: value for name, value in values.items() if not _may_lack(properties[name], value)}
    inner = {name: _demand(properties[name], value) for name, value in filled.items() if isinstance(value, dict)}
    required = {"required": sorted(filled)} if filled else {}
    return {**schema_, **required, "properties": {**properties, **inner}}


def _may_lack(schema_: Schema, value: Any) -> bool:
    may_be_null = "null" in schema_.get("type", ())
    is_open = isinstance(value, list) or (isinstance(value, dict) and "properties" not in schema_)
    return not value or may_be_null or is_open


def _gateway(file: Schema) -> Schema:
    """Allow the keys of its file that the chart does not write itself."""
    keys = {name: value for name, value in file.items() if name not in {"tls", "recognizers"}}
    return _object(
        **_workload(GatewaySettings),
        service=_SERVICE,
        tls=_GATEWAY_TLS,
        order=_list(_NAME),
        file=_object(**lenient(keys)),
        calibration=_object(configMapName=_NAME, key=_KEY),
    )


def _web() -> Schema:
    workload = _workload(WebSettings)
    del workload["probe"]
    return _object(
        **workload,
        enabled={"type": ["boolean", "null"]},
        url={"type": "string", "pattern": r"^(https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?)?$"},
        trustedProxies=_list({"type": "string", "pattern": "^[0-9a-fA-F.:]+(/[0-9]+)?$"}),
        gatewayToken=_SECRET,
        gatewayTls=_object(serverName=_NAME, publicCa=_BOOLEAN),
        tls=_SECRET,
        sessionKey=_SECRET,
        oidc=_object(issuer=_URL, clientId=_TEXT, clientSecret=_SECRET),
        uploads=_object(sizeLimit=_QUANTITY),
        service=_SERVICE,
        ingress=_INGRESS,
        route=_object(**_ROUTE, hostnames={**_list(_NAME), "maxItems": 1}, timeouts=_TIMEOUTS),
    )


def _library() -> Schema:
    return _object(
        **_workload(LibrarySettings),
        enabled=_BOOLEAN,
        database=_object(secretName=_NAME, key=_KEY, port=integer(1, 65535), ca=_object(configMapName=_NAME, key=_KEY)),
        store=_object(url={"type": "string", "pattern": r"^(s3://[^/]+(/.*)?|file:///.+)?$"}, existingClaim=_NAME),
        tombstoneKey=_SECRET,
        channels=_object(secretName=_NAME, egress=_OBJECTS),
        gatewayToken=_SECRET,
        gatewayTls=_object(serverName=_NAME, publicCa=_BOOLEAN),
        tls=_SECRET,
    )


def _alerts() -> Schema:
    share = number(above_zero=True, below_one=True)
    return _object(
        enabled=_BOOLEAN,
        labels=_TEXTS,
        availability=share,
        latency=_object(within={"enum": _WITHIN}, objective=share),
        minimumFailures=integer(1, 1000),
        dailyCapUsd=number(above_zero=False),
        pendingSeconds=integer(60, 604_800),
        runbooks={"type": "string", "pattern": "^(https?://.+/)?$"},
        without=_list({"enum": alerts()}),
    )


def _recognizers(entry: Schema) -> Schema:
    """Restrict the settings of Marquee's own recognizers; others may have any."""
    own = {name: _object(**_recognizer(entry, settings)) for name, settings in LEAVES.items()}
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "not": {"enum": _TAKEN}},
        "properties": own,
        "additionalProperties": _object(**_recognizer(entry)),
    }


def _recognizer(entry: Schema, *settings: type[Settings]) -> dict[str, Schema]:
    own = {"deploy": _BOOLEAN, "gateway": entry, "tls": _SECRET, "serving": _SERVING}
    return {**_workload(*settings), **own}


def _workload(*settings: type[ProcessSettings]) -> dict[str, Schema]:
    return {
        "image": _object(repository=_REPOSITORY, tag=_TAG, digest=_DIGEST),
        "replicas": integer(0, 1000),
        "env": _env(*settings),
        "envFrom": _OBJECTS,
        "resources": _RESOURCES,
        "resourceClaims": _OBJECTS,
        "drain": _object(delaySeconds=integer(0, 300), seconds=integer(0, 300)),
        "startupSeconds": integer(1, 3600),
        "probe": _object(port=_PROBE_PORT, service={"type": ["string", "null"]}),
        "probes": _PROBES,
        "strategy": _object(type={"enum": ["RollingUpdate", "Recreate"]}, rollingUpdate=_STEPS),
        "serviceAccount": _object(create=_BOOLEAN, name=_NAME, annotations=_TEXTS),
        "autoscaling": _AUTOSCALING,
        "podDisruptionBudget": _object(enabled=_BOOLEAN, maxUnavailable=_COUNT_OR_PERCENT),
        "zoneSpread": {"enum": ["ScheduleAnyway", "DoNotSchedule", "none"]},
        "antiAffinity": {"enum": ["preferred", "required", "none"]},
        "affinity": _object(nodeAffinity=_ANY_OBJECT, podAffinity=_ANY_OBJECT),
        "nodeSelector": _LABELS,
        "tolerations": _OBJECTS,
        "priorityClassName": _NAME,
        "runtimeClassName": _NAME,
        "tmp": _object(sizeLimit=_QUANTITY),
        "podLabels": _LABELS,
        "podAnnotations": _TEXTS,
        "podSecurityContext": _ANY_OBJECT,
        "securityContext": _ANY_OBJECT,
        "volumes": _OBJECTS,
        "volumeMounts": _OBJECTS,
        "initContainers": _OBJECTS,
        "containers": _OBJECTS,
        "egress": _OBJECTS,
    }


def _env(*settings: type[ProcessSettings]) -> Schema:
    """Restrict the names of MARQUEE_ variables to those of `settings`, if given."""
    variables = {f"{PREFIX}{name.upper()}" for kind in settings for name in kind.model_fields}
    names: Schema = {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
    if variables:
        names |= {"if": {"pattern": f"^{PREFIX}"}, "then": {"enum": sorted(variables)}}
    return {"type": "object", "propertyNames": names, "additionalProperties": _ENV_VALUE}


def _object(**properties: Schema) -> Schema:
    """Allow these keys and no others; a key that is a Python keyword has a trailing underscore here."""
    named = {name.rstrip("_"): value for name, value in properties.items()}
    return {"type": "object", "additionalProperties": False, "properties": named}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_OWN_LABELS = [f"app.kubernetes.io/{name}" for name in ("component", "instance", "managed-by", "name", "version")]
# Objects of the chart's own have these names.
_TAKEN = ["default-deny", "gateway", "gateway-headless", "library", "test", "web"]
_BOOLEAN: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_ENV_VALUE: Schema = {"type": ["string", "number", "boolean", "object"]}
_NAME: Schema = {"type": "string", "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", "maxLength": 253}
_KEY: Schema = {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"}
_LABEL: Schema = {"type": "string", "pattern": "^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"}
_DNS_NAME: Schema = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "maxLength": 253}
# 9464 has the metrics.
_PROBE_PORT: Schema = {**integer(1, 65535), "not": {"enum": [9464, "9464"]}}
_TAG: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{0,128}$"}
_DIGEST: Schema = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
_DURATION: Schema = {"type": "string", "pattern": "^[0-9]+(ms|s|m)$"}
_QUANTITY: Schema = {"type": ["string", "number"], "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
_COUNT_OR_PERCENT: Schema = {"type": ["integer", "string"], "minimum": 1, "pattern": "^([1-9][0-9]*|[0-9]+%)$"}
_STEP: Schema = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%?$"}
_STEPS = _object(maxSurge=_STEP, maxUnavailable=_STEP)
_ANY_OBJECT: Schema = {"type": "object"}
_OBJECTS = _list(_ANY_OBJECT)
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
# What the API server takes for a label's value.
_LABELS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"},
    "additionalProperties": {"type": "string", "pattern": "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"},
}
_SECONDS = integer(1, 86_400)
_PROBE = _object(
    **dict.fromkeys(("exec", "grpc", "httpGet", "tcpSocket"), _ANY_OBJECT),
    **dict.fromkeys(("failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds"), _SECONDS),
    initialDelaySeconds=integer(0, 86_400),
    terminationGracePeriodSeconds=_SECONDS,
)
_A_PROBE: Schema = {"$ref": "#/definitions/Probe"}
_PROBES = _object(startup=_A_PROBE, liveness=_A_PROBE, readiness=_A_PROBE)
_RESOURCE: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
}
_POLICIES = ["", "SingleStack", "PreferDualStack", "RequireDualStack"]
_FAMILIES: Schema = {**_list({"enum": ["IPv4", "IPv6"]}), "uniqueItems": True}
_WITHIN = [text for bucket in BUCKETS for text in (str(float(bucket)), bucket)]
_QUANTITIES: Schema = {"type": "object", "additionalProperties": _QUANTITY}
_RESOURCES = _object(requests=_QUANTITIES, limits=_QUANTITIES, claims=_OBJECTS)
_HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?"
# Neither has a scheme, and a repository has no tag.
_REGISTRY: Schema = {"type": "string", "pattern": rf"^({_HOST}(/[a-z0-9._-]+)*/?)?$"}
_REPOSITORY: Schema = {"type": "string", "pattern": rf"^(({_HOST}/)?[a-z0-9._-]+(/[a-z0-9._-]+)*)?$"}
_IMAGES = _object(
    registry=_REGISTRY,
    tag=_TAG,
    pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    pullSecrets=_list(_object(name=_NAME)),
)
_SERVICE = _object(type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, annotations=_TEXTS)
_ISSUER = _object(name=_NAME, kind={"type": "string", "pattern": "^[A-Z][A-Za-z]*$"}, group=_TEXT)
_GATEWAY_TLS = _object(secretName=_NAME, dnsNames=_list(_DNS_NAME))
_SECRET = _object(secretName=_NAME)
_URL: Schema = {"type": "string", "pattern": "^(https://.+)?$"}
_AUTH = _object(
    mode={"enum": ["anonymous", "token", "mtls"]},
    allowAnonymousIngress=_BOOLEAN,
    callers=_SECRET,
    jwt=_object(issuer=_URL, audience=_TEXT, jwksUrl=_URL),
    clientCa=_SECRET,
    test=_object(secretName=_NAME, serverName=_NAME),
)
_AUTOSCALING = _object(
    type={"enum": ["none", "hpa", "keda"]},
    minReplicas=integer(1, 1000),
    maxReplicas=integer(1, 1000),
    cpu=integer(0, 1000),
    inFlight=integer(0, 10_000),
    metrics=_OBJECTS,
    behavior=_object(scaleUp=_ANY_OBJECT, scaleDown=_ANY_OBJECT),
    prometheus={"type": "string", "pattern": "^https?://"},
)
_NETWORK_POLICY = _object(
    enabled=_BOOLEAN,
    **dict.fromkeys(("gatewayFrom", "libraryFrom", "metricsFrom", "recognizersFrom", "webFrom"), _OBJECTS),
)
_MODEL = _object(
    name={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    source={"type": "string", "pattern": "^s3://[^/]+/."},
    watchSeconds=integer(0, 86_400),
    keep=integer(1, 100),
    existingClaim=_NAME,
    sizeLimit=_QUANTITY,
)
_SERVING = _object(
    enabled=_BOOLEAN,
    gpu=_BOOLEAN,
    gpuResource=_object(name=_RESOURCE, count=integer(1, 64)),
    probes=_PROBES,
    image=_object(cpu=_TEXT, gpu=_TEXT),
    command={**_list(_TEXT), "minItems": 1},
    monitoring=_BOOLEAN,
    args=_list(_TEXT),
    resources=_RESOURCES,
    startupSeconds=integer(1, 3600),
    nodeSelector=_LABELS,
    tolerations=_OBJECTS,
    model=_MODEL,
)
_INGRESS = _object(
    enabled=_BOOLEAN,
    # The chart says what to do instead of `nginx`.
    type={"enum": ["alb", "other", "nginx"]},
    className=_NAME,
    host=_NAME,
    annotations=_TEXTS,
    tls=_object(
        secretName=_NAME,
        certificate=_object(enabled=_BOOLEAN, issuerRef=_ISSUER),
    ),
)
_ROUTE: dict[str, Schema] = {
    "enabled": _BOOLEAN,
    "parentRefs": _OBJECTS,
    "annotations": _TEXTS,
    "labels": _TEXTS,
    "filters": _OBJECTS,
}
_TIMEOUTS: Schema = {**_object(request=_TEXT, backendRequest=_TEXT), "type": ["object", "null"]}
_BACKEND_TLS = _object(enabled=_BOOLEAN, caCertificateRefs=_OBJECTS, serverName=_NAME, publicCa=_BOOLEAN)
