"""The command that calibrates a running gateway."""

import asyncio
import sys
from pathlib import Path

import pytest

from services.gateway.calibrate.__main__ import main
from services.gateway.fusion.calibration import read_table
from tests.support.labelled import Witness, good, printed_object, witnessed, write_pictures
from tests.support.processes import run


async def test_it_writes_a_table_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gateway is asked about every picture, and its answers become a table that it reads, and a page."""
    owners = write_pictures(tmp_path / "pictures", 12)
    leaves = [Witness(name, owners, good) for name in ("svm", "keras")]
    async with witnessed(*leaves) as address:
        arguments = [str(tmp_path / "pictures"), "--target", address, "--output", "json"]
        arguments += ["--out", str(tmp_path / "table.json"), "--report", str(tmp_path / "page.html")]
        await asyncio.to_thread(main, arguments)
    told = printed_object(capsys.readouterr().out)
    assert (told["known_moments"], told["stranger_moments"]) == (24, 12)
    assert [one["name"] for one in told["measured"]] == ["svm", "keras", "fusion", "fusion by scores"]
    assert set(read_table(tmp_path / "table.json").recognizers) == {"svm", "keras"}
    page = (tmp_path / "page.html").read_text()
    assert "<svg" in page
    assert "FNIR" in page
    assert [len(leaf.calls) for leaf in leaves] == [36, 36]


async def test_money_is_spent_only_if_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures that would cost more than --max-usd are not asked about."""
    paid = Witness("paid", write_pictures(tmp_path, 12), good, price=100_000)
    async with witnessed(paid) as address:
        with pytest.raises(SystemExit) as failed:
            await asyncio.to_thread(main, [str(tmp_path), "--target", address])
    assert failed.value.code == 2
    assert "costs $3.60: allow it with --max-usd" in capsys.readouterr().err
    assert paid.calls == []


def test_a_gateway_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written if nobody answers, and the address is named."""
    write_pictures(tmp_path, 1)
    with pytest.raises(SystemExit) as failed:
        main([str(tmp_path), "--target", "127.0.0.1:1", "--out", str(tmp_path / "table.json")])
    assert failed.value.code == 2
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert not (tmp_path / "table.json").exists()


@pytest.mark.parametrize(
    ("command", "package"), [("calibrate", "numpy"), ("calibrate", "rich"), ("policy_report", "jinja2")]
)
def test_a_package_that_is_missing_is_said(command: str, package: str) -> None:
    """In an environment without what the study needs, the extra to install is named."""
    module = f"services.gateway.{command}.__main__"
    code = f"import sys; sys.modules['{package}'] = None; from {module} import main; main(['x'])"
    failed = run([sys.executable, "-c", code])
    assert failed.returncode == 2
    assert "install the extra `calibrate`" in failed.stderr
