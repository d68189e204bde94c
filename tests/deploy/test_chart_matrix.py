"""Tests of every option of the chart; tests/cluster/test_cluster_options.py shows an API server what they render."""

from pathlib import Path

import pytest

from tests.deploy import charts, option_sets


def test_every_option_is_tried() -> None:
    """Each option of the schema has another value than its default in one of the files, and each choice its own."""
    assert option_sets.unset() == []


@pytest.mark.parametrize("file", option_sets.FILES, ids=lambda path: path.stem)
def test_options_render(file: Path) -> None:
    """The schema accepts the values, and no template refuses them."""
    assert charts.render(option_sets.values(file))
