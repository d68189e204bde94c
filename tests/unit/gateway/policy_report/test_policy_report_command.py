"""The command that tells what policies cost."""

import asyncio
from pathlib import Path

import pytest

from services.gateway.policy_report.__main__ import main
from tests.support.labelled import Witness, good, printed_object, witnessed, write_pictures


async def test_it_plays_every_policy_on_a_running_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every recognizer is asked once about each picture, and a page shows dollars against errors of each policy."""
    owners = write_pictures(tmp_path / "pictures", 4)
    leaves = [Witness("free", owners, good), Witness("paid", owners, good, price=1000)]
    async with witnessed(*leaves) as address:
        arguments = [str(tmp_path / "pictures"), "--target", address, "--output", "json"]
        await asyncio.to_thread(main, [*arguments, "--report", str(tmp_path / "page.html")])
    told = printed_object(capsys.readouterr().out)
    everything = told["points"][0]
    assert (everything["policy"], everything["dollars"], everything["calls"]) == ("ALL", 1.0, 2.0)
    assert {point["policy"] for point in told["points"]} == {"ALL", "FIRST_CONFIDENT", "CASCADE"}
    assert [len(leaf.calls) for leaf in leaves] == [12, 12]
    page = (tmp_path / "page.html").read_text()
    assert "CASCADE" in page
    assert "<polyline" in page


def test_a_mistake_in_the_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that the gateway would refuse is refused, with its line."""
    write_pictures(tmp_path / "pictures", 1)
    (tmp_path / "gateway.yaml").write_text("recognizers: {}\n")
    with pytest.raises(SystemExit) as failed:
        main([str(tmp_path / "pictures"), "--config", str(tmp_path / "gateway.yaml")])
    assert failed.value.code == 2
    assert "gateway.yaml:1" in capsys.readouterr().err
