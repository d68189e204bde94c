"""Files that change under a running server."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.runtime.doors import watch
from services.runtime.doors.watch import Watched
from tests.support.servers import until


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("marquee_reloads_total", {"what": "number", "outcome": outcome}) or 0


def number(path: Path) -> int:
    """Return the number in the file: raises RecursionError for one over 9."""
    value = int(path.read_text())
    if value > 9:
        raise RecursionError
    return value


def write(path: Path, text: str) -> None:
    path.write_text(text)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1")
    return path


def watched(path: Path, on_change: Callable[[int], None] | None = None) -> Watched[int]:
    return Watched("number", [path], lambda: number(path), on_change)


async def test_a_changed_file_is_read_again(file: Path) -> None:
    """Its new content is in use and counted, after what depends on it was told; an unchanged one is left alone."""
    seen: list[int] = []
    watching, before = watched(file, seen.append), reloads("ok")
    await watching.refresh()
    write(file, "2")
    await watching.refresh()
    await watching.refresh()
    assert (watching.value, seen, reloads("ok") - before) == (2, [2], 1)


async def test_content_counts_not_time(file: Path) -> None:
    """A file that is written anew with what it held, as by many tools, is no change."""
    watching, before = watched(file), reloads("ok")
    write(file, "1")
    os.utime(file, (1, 1))
    await watching.refresh()
    assert reloads("ok") == before


async def test_links_are_followed(tmp_path: Path) -> None:
    """A cluster swaps the folder that a link leads to: the file's own name never changes."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "number").write_text(version)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "number").symlink_to("..data/number")
    watching = watched(tmp_path / "number")
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    await watching.refresh()
    assert watching.value == 2


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("x"), lambda path: path.write_text("10"), Path.unlink])
async def test_a_broken_file_leaves_the_old_in_use(file: Path, spoil: Callable[[Path], object]) -> None:
    """Malformed, gone, or worse: it is logged and counted once, and what replaces it is taken."""
    watching, before = watched(file), reloads("refused")
    spoil(file)
    with capture_logs() as logs:
        for _ in range(3):
            await watching.refresh()
    assert (watching.value, reloads("refused") - before) == (1, 1)
    assert [line["event"] for line in logs] == ["change refused; the old one stays in use"]
    write(file, "3")
    await watching.refresh()
    assert watching.value == 3


async def test_what_cannot_be_used_yet_is_tried_again(file: Path) -> None:
    """A change that something else refuses is taken as soon as that agrees, though the file stays as it is."""
    refusing = True

    def check(value: int) -> None:
        if refusing:
            raise ValueError(value)

    watching = watched(file, check)
    write(file, "2")
    await watching.refresh()
    assert watching.value == 1
    refusing = False
    await watching.refresh()
    assert watching.value == 2


def test_a_file_that_is_missing_at_first_is_an_error(tmp_path: Path) -> None:
    """A server does not start without the files that it was told of."""
    with pytest.raises(OSError, match="No such file"):
        watched(tmp_path / "number")


async def test_a_signal_does_not_wait(file: Path) -> None:
    """Files are read at once when the event is set."""
    watching, wake = watched(file), asyncio.Event()
    task = asyncio.create_task(watch.watch(lambda: [watching], wake))
    write(file, "2")
    wake.set()
    await until(lambda: watching.value == 2)
    task.cancel()


def test_reloads_are_counted_from_nothing(file: Path) -> None:
    """Both counters are there before anything changes: Prometheus takes what it sees first for no increase."""
    Watched("new", [file], lambda: number(file))
    labels = [{"what": "new", "outcome": outcome} for outcome in ("ok", "refused")]
    assert [REGISTRY.get_sample_value("marquee_reloads_total", each) for each in labels] == [0, 0]


async def test_a_pipe_is_not_waited_for(file: Path) -> None:
    """A pipe in place of a file is refused: nobody may ever write to it."""
    watching = watched(file)
    pipe(file)
    with capture_logs() as logs:
        await watching.refresh()
    assert "is a pipe" in logs[0]["error"]
    with pytest.raises(ValueError, match="is a pipe"):
        watched(file)
