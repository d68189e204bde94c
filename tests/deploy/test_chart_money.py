"""Tests that the chart divides Rekognition's cap by its pods, and says so."""

import pytest

from tests.deploy import charts

pytestmark = pytest.mark.slow
_REPLICAS = "MARQUEE_REKOGNITION_REPLICAS"


@pytest.mark.parametrize(
    ("values", "replicas"),
    [
        ({}, "2"),
        ({"replicas": 3}, "3"),
        ({"replicas": 0}, "1"),
        ({"replicas": 3, "autoscaling": {"type": "hpa", "minReplicas": 2, "maxReplicas": 9}}, "9"),
        ({"autoscaling": {"type": "keda", "minReplicas": 1, "maxReplicas": 4, "prometheus": "http://p:9090"}}, "4"),
        ({"replicas": 3, "env": {_REPLICAS: 20}}, "20"),
    ],
)
def test_pods_know_how_many_they_may_be(values: charts.Object, replicas: str) -> None:
    """The most that the chart allows, unless the operator says otherwise."""
    objects = charts.render({"recognizers": {"rekognition": values}})
    assert charts.environment(_container(objects, "rekognition"))[_REPLICAS] == replicas


def test_every_rekognition_divides_its_cap() -> None:
    """A second entry with the same image does, too; other recognizers have nothing to divide."""
    eu = {"image": {"repository": "registry.example/marquee-rekognition"}, "replicas": 7, "gateway": {}}
    objects = charts.render({"recognizers": {"rekognition-eu": eu}})
    assert charts.environment(_container(objects, "rekognition-eu"))[_REPLICAS] == "7"
    assert _REPLICAS not in charts.environment(_container(objects, "svm"))


def _container(objects: list[charts.Object], name: str) -> charts.Object:
    return charts.containers(charts.pod(objects, f"marquee-{name}"))[name]


@pytest.mark.parametrize(
    ("values", "said", "not_said"),
    [
        ({}, ["at most $5 a day", "the word unlimited", "2 at most, has an equal part"], ["count together, in"]),
        ({"replicas": 1}, ["at most $5 a day"], ["equal part"]),
        ({"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": 25}}, ["at most $25 a day", "equal part"], ["$5 "]),
        ({"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": 1000000}}, ["at most $1000000 a day"], []),
        ({"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": "0"}}, ["at most $0 a day"], ["$5"]),
        ({"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": 0}}, ["at most $0 a day"], ["$5"]),
        ({"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": 0.5}}, ["at most $0.5 a day"], []),
        (
            {"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": "unlimited"}},
            ["without a cap"],
            ["spends at most", "equal part"],
        ),
        ({"env": {"MARQUEE_REKOGNITION_TABLE": "money"}}, ["at most $5 a day", "together, in a table"], ["equal part"]),
        ({"env": {"MARQUEE_REKOGNITION_ENDPOINT_URL": "http://stand-in"}}, [], ["a day", "equal part"]),
        (
            {"env": {"MARQUEE_REKOGNITION_DAILY_CAP_USD": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}}},
            ["refers to", "equal part"],
            ["$5", "map["],
        ),
        ({"deploy": False, "gateway": {"target": "eu.example:443", "tls": {}}}, [], ["a day"]),
    ],
)
def test_the_notes_say_what_it_may_cost(values: charts.Object, said: list[str], not_said: list[str]) -> None:
    """Whoever installs the chart reads the cap, by default or not, and how pods divide it."""
    notes = " ".join(charts.text("NOTES.txt", {"recognizers": {"rekognition": values}}).split())
    assert [text for text in said if text not in notes] == []
    assert [text for text in not_said if text in notes] == []
