"""Tests of how many pods the chart asks for, and how they are replaced.

Rendering alone looks nothing up: what the chart makes of pods that run is in tests/cluster/test_cluster_scaling.py.
"""

import pytest

from tests.deploy import charts

pytestmark = pytest.mark.slow
_CPU = {"serving": {"gpu": False}}
_SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
_ONE_LESS = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
_NEITHER = {"type": "Recreate"}
STRATEGIES = [
    ({}, _NEITHER),
    ({"replicas": 2}, _ONE_LESS),
    ({"autoscaling": {"type": "hpa", "minReplicas": 1}}, _ONE_LESS),
    ({"autoscaling": {"type": "keda", "minReplicas": 1, "maxReplicas": 1}}, _NEITHER),
    ({"strategy": {"rollingUpdate": {"maxSurge": 1}}}, _SURGE),
    ({"replicas": 2, "strategy": {"type": "Recreate"}}, _NEITHER),
    ({"strategy": {"type": "RollingUpdate"}}, _ONE_LESS),
    (
        {"replicas": 4, "strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}},
    ),
    (_CPU, _SURGE),
    ({"serving": {"enabled": False, "resources": {"limits": {"nvidia.com/gpu": 1}}}}, _SURGE),
    (_CPU | {"strategy": {"rollingUpdate": {"maxSurge": 0}}}, _ONE_LESS),
    ({"serving": {"gpu": False, "resources": {"limits": {"amd.com/gpu": 1}}}}, _NEITHER),
    (_CPU | {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]}, _NEITHER),
    (_CPU | {"resources": {"limits": {"nvidia.com/mig-1g.5gb": 1}}}, _NEITHER),
    (_CPU | {"containers": [{"name": "x", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 2}}}]}, _NEITHER),
]


@pytest.mark.parametrize(("keras", "strategy"), STRATEGIES)
def test_pods_that_share_gpus_make_room(keras: charts.Object, strategy: charts.Object) -> None:
    """Pods that ask for a GPU, by whatever name, end before they are replaced, others after; values override it."""
    objects = charts.render({"recognizers": {"keras": keras}})
    assert charts.one(objects, "Deployment", "marquee-keras")["spec"]["strategy"] == strategy


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_autoscaled_deployments_state_no_number(kind: str) -> None:
    """Without a look at the cluster, as in Argo CD, the number is left to the autoscaler."""
    objects = charts.render({"defaults": {"autoscaling": {"type": kind}}})
    for name in charts.INSTALLED:
        deployment = charts.one(objects, "Deployment", f"marquee-{name}")
        assert "replicas" not in deployment["spec"]
        assert "annotations" not in deployment["metadata"]


def test_deployments_note_that_they_state_a_number() -> None:
    """The annotation tells later releases to keep the number, also beside others and for no pods at all."""
    objects = charts.render({"annotations": {"team": "photos"}, "gateway": {"replicas": 0}})
    deployment = charts.one(objects, "Deployment", "marquee-gateway")
    assert deployment["spec"]["replicas"] == 0
    assert deployment["metadata"]["annotations"] == {"team": "photos", "marquee/replicas": "stated"}


@pytest.mark.parametrize(
    ("keras", "note"),
    [
        ({}, "it is away for\nits drain, of 45 seconds at most, and its start"),
        ({"replicas": 2}, "Updates of keras replace pods on the GPUs that they have, while the others answer"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 1}}}, "they wait until a node has a GPU to spare"),
        (_CPU, ""),
    ],
)
def test_notes_tell_of_updates_on_gpus(keras: charts.Object, note: str) -> None:
    """The notes say whether a recognizer on a GPU is away during an update."""
    notes = charts.text("NOTES.txt", {"recognizers": {"keras": keras}})
    assert note in notes
    assert bool(note) == ("Updates of keras" in notes)
