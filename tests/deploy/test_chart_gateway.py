"""Tests of the gateway's file, as the chart writes it from its values."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helm.generate import CHART
from services.gateway.config import CacheConfig, GatewayConfig
from tests.deploy import charts

pytestmark = pytest.mark.slow


def _config(values: charts.Object, folder: Path) -> GatewayConfig:
    """Return the file as the gateway reads it."""
    return charts.gateway_config(charts.render(values), folder)


def _gateway(values: charts.Object) -> charts.Object:
    """Return the pod's specification."""
    return charts.pod(charts.render(values), "marquee-gateway")


def test_the_gateway_reads_what_the_values_say(tmp_path: Path) -> None:
    """Each key of `gateway.file` reaches the gateway, numbers that are texts, too."""
    veto = {"recognizer": "keras", "label": "Non-Celebrity", "score": "0.8"}
    file = {
        "max_in_flight": "80",
        "confident_score": "0.85",
        "veto": veto,
        "cache": {"mib": "64", "ttl": 60},
        "calibration": {"prior_unknown": 0.3, "threshold": "0.6"},
        "repeated_people": True,
    }
    config = _config({"gateway": {"file": file, "calibration": {"configMapName": "curves"}}}, tmp_path)
    assert (config.max_in_flight, config.confident_score, config.repeated_people) == (80, 0.85, True)
    assert config.veto is not None
    assert (config.veto.recognizer, config.veto.score) == ("keras", 0.8)
    assert (config.cache.mib, config.cache.ttl) == (64, 60)
    assert config.calibration is not None
    assert (config.calibration.prior_unknown, config.calibration.threshold) == (0.3, 0.6)


def test_the_charts_cache_is_the_gateways() -> None:
    """The chart, which adds the cache's size to the pod's memory, has the defaults of the gateway itself."""
    values = YAML(typ="safe", pure=True).load(CHART / "values.yaml")
    assert CacheConfig(**values["gateway"]["file"]["cache"]) == CacheConfig()


def test_cascades_ask_what_costs_nothing_first(tmp_path: Path) -> None:
    """Recognizers are in the order of their names, but those that cost money come last."""
    assert list(_config({}, tmp_path).recognizers) == ["keras", "svm", "rekognition"]


def test_the_caches_memory_is_the_pods(tmp_path: Path) -> None:
    """A larger cache raises the pod's memory, request and limit, by as much; without one there is none to add."""
    for mib, request, limit in ((512, "640Mi", "1536Mi"), (0, "128Mi", "1Gi")):
        values = {"gateway": {"file": {"cache": {"mib": mib}}}}
        resources = charts.containers(_gateway(values))["gateway"]["resources"]
        assert (resources["requests"]["memory"], resources["limits"]["memory"]) == (request, limit)
        assert _config(values, tmp_path).cache.mib == mib


def test_a_table_comes_from_a_configmap(tmp_path: Path) -> None:
    """The ConfigMap with the calibration's table is mounted as a folder, which follows its changes."""
    values: charts.Object = {"gateway": {"calibration": {"configMapName": "curves", "key": "july.json"}}}
    pod = _gateway(values)
    assert {"name": "calibration", "configMap": {"name": "curves"}} in pod["volumes"]
    mounts = charts.containers(pod)["gateway"]["volumeMounts"]
    assert {"name": "calibration", "mountPath": "/calibration", "readOnly": True} in mounts
    config = _config(values, tmp_path)
    assert config.calibration is not None
    assert config.calibration.table == Path("/calibration/july.json")


def test_a_table_can_be_in_a_volume(tmp_path: Path) -> None:
    """Without a ConfigMap the file says where the table is, and the chart mounts nothing."""
    values = {"gateway": {"file": {"calibration": {"table": "/curves/july.json"}}}}
    config = _config(values, tmp_path)
    assert config.calibration is not None
    assert config.calibration.table == Path("/curves/july.json")
    assert "calibration" not in [volume["name"] for volume in _gateway(values)["volumes"]]


@pytest.mark.parametrize(
    ("gateway", "words"),
    [
        ({"file": {"calibration": {"threshold": 0.6}}}, "gateway.calibration.configMapName: name the ConfigMap"),
        (
            {"file": {"calibration": {"table": "/curves"}}, "calibration": {"configMapName": "curves"}},
            "gateway.file.calibration.table: leave it out",
        ),
        ({"file": {"veto": {"recognizer": "nobody", "label": "x"}}}, 'there is no recognizer "nobody"'),
        ({"file": {"cache": {"mib": -1}}}, "/gateway/file/cache/mib"),
        ({"file": {"confident_score": 1.5}}, "/gateway/file/confident_score"),
        ({"file": {"recognizers": {}}}, "/gateway/file"),
    ],
)
def test_mistakes_are_refused_by_name(gateway: charts.Object, words: str) -> None:
    """What the gateway would refuse, or what says twice where the table is, is told before anything is installed."""
    assert words in charts.refusal({"gateway": gateway})
