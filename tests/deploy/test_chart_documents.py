"""Tests that the chart's values are documented and in the schema, and that TensorFlow Serving gets its files."""

import json
import pathlib
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from helm import table
from helm.generate import CHART
from tests.deploy import charts

Path = tuple[str, ...]
VALUES = (CHART / "values.yaml").read_text("utf-8")
TREE = YAML(typ="safe", pure=True).load(VALUES)
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def _leaves(tree: charts.Object, path: Path = ()) -> Iterator[Path]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _below(path: Path) -> list[Path]:
    """Return the path and its parents."""
    return [path[:end] for end in range(1, len(path) + 1)]


def test_every_value_is_documented() -> None:
    """Each value has a comment, of its own or inherited from `defaults`."""
    documented = {path for path, _ in table.comments(VALUES)} - {("defaults",), ("recognizers",)}
    for leaf in _leaves(TREE):
        own = leaf[2:] if leaf[0] == "recognizers" else leaf[1:]
        inherited = [("defaults", *path) for path in _below(own)] if leaf[0] in {"recognizers", "gateway"} else []
        shared = [("recognizers", "svm", *path) for path in _below(own)] + [
            ("recognizers", "keras", *path) for path in _below(own)
        ]
        assert documented & {*_below(leaf), *inherited, *shared}, ".".join(leaf)


def test_every_default_is_in_the_schema() -> None:
    """The schema names each key of values.yaml and refuses any other."""
    for leaf in _leaves(TREE):
        schema = SCHEMA
        for key in leaf:
            schema = schema["properties"].get(key) if "properties" in schema else {}
            assert schema is not None, ".".join(leaf)
            if "properties" not in schema:
                break


def test_table_shows_defaults() -> None:
    """The README's table has the key, default and comment of each value."""
    assert "| `defaults.replicas` | `2` | Number of pods, unless autoscaling is on. |" in table.markdown(VALUES)


@pytest.mark.parametrize("path", sorted((CHART / "files" / "serving").iterdir()), ids=lambda path: path.name)
def test_tensorflow_serving_gets_the_charts_files(path: pathlib.Path) -> None:
    """The chart's flags, environment and files reach the container unchanged."""
    objects = charts.render()
    serving = charts.containers(charts.pod(objects, "marquee-keras"))["serving"]
    config = charts.one(objects, "ConfigMap", "marquee-keras-serving")["data"]
    environment = [f"{name}={value}" for name, value in charts.environment(serving).items()]
    content = {"args.txt": serving["args"], "gpu.env": environment}.get(path.name) or config[path.name].splitlines()
    assert content == path.read_text("utf-8").splitlines()
