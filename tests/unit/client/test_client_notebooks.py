"""Tests of answers in notebooks: pictures, tables, and rows for pandas."""

import asyncio
import csv
import gc
import io
import sys
import threading
import weakref
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from marquee import AsyncClient, Client, InvalidImage, Recognition
from marquee.records import read
from marquee.v1 import recognizer_pb2 as pb
from tests.support.client import Peer, marquee, serving, two_people
from tests.support.processes import ROOT, run, wait_until

HOSTILE = "<img src=x onerror=alert(1)>\u202e\"'"
WITHOUT_PILLOW = """
import sys
sys.modules["PIL"] = None
import marquee
with marquee.Client(sys.argv[1]) as client:
    answer = client.recognize(b"picture")
print(answer._repr_html_())
try:
    answer.draw()
except ImportError as error:
    print(error)
"""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(Peer(answer=two_people())) as peer:
        yield peer


@pytest.fixture
def client(peer: Peer) -> Iterator[Client]:
    with Client(peer.address) as client:
        yield client


def jpeg(width: int = 640, height: int = 480) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return buffer.getvalue()


def shown(html: str) -> Image.Image:
    """Return the picture that a notebook shows."""
    _, _, rest = html.partition("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(b64decode(rest.partition('"')[0])))


def test_an_answer_is_its_picture_with_tables(client: Client) -> None:
    """The picture has boxes and is of a size for a screen; faces, labels and failed recognizers are tables."""
    html = client.recognize(jpeg(3000, 2000))._repr_html_()
    picture = shown(html)
    assert picture.size == (1000, 667)
    assert min(picture.convert("L").tobytes()) < 100
    assert all(text in html for text in ("Eileen Collins", "<td>Person</td>", "svm does not answer."))


@pytest.mark.parametrize("fields", [{"display_name": HOSTILE}, {"person_id": HOSTILE}])
def test_what_a_server_says_is_no_html(client: Client, peer: Peer, fields: dict[str, str]) -> None:
    """Names are escaped, and cannot turn what stands beside them."""
    peer.answer.verdicts[0].MergeFrom(pb.Verdict(**fields))
    peer.answer.results[1].status.message = HOSTILE
    html = client.recognize(jpeg())._repr_html_()
    assert "<img src=x" not in html
    assert "\u202e" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_file_is_read_again_unless_it_has_changed(client: Client, tmp_path: Path) -> None:
    """An answer from a file draws that file; one that has changed is named, in the page and by the error."""
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg())
    answer = client.recognize(file)
    assert shown(answer._repr_html_()).size == answer.draw().size == (640, 480)
    file.write_bytes(jpeg(64, 48))
    assert "a.jpg is no longer the picture" in answer._repr_html_()
    with pytest.raises(InvalidImage, match="no longer the picture"):
        answer.draw()
    assert answer.draw(jpeg(64, 48)).size == answer.draw(str(file)).size == (64, 48)
    with pytest.raises(FileNotFoundError):
        answer.draw(tmp_path / "b.jpg")


async def test_what_changes_during_the_call_is_not_shown(peer: Peer, tmp_path: Path) -> None:
    """A file that is written anew while it is recognized is not the answer's picture; a buffer's content stays."""
    file, buffer = tmp_path / "a.jpg", bytearray(jpeg())
    file.write_bytes(buffer)
    peer.hold = threading.Event()
    async with AsyncClient(peer.address) as client:
        calls = [asyncio.create_task(client.recognize(source)) for source in (file, buffer)]
        await asyncio.to_thread(wait_until, lambda: len(peer.requests) == 2)
        file.write_bytes(jpeg(64, 48))
        buffer[:] = bytes(len(buffer))
        peer.hold.set()
        of_file, of_buffer = await asyncio.gather(*calls)
    assert "no longer the picture" in of_file._repr_html_()
    assert of_buffer.draw().size == (640, 480)


async def test_an_answer_within_a_running_loop_draws_itself(peer: Peer) -> None:
    """The answers of the client for asyncio, streamed or not, have their picture, too."""
    async with AsyncClient(peer.address) as client:
        answer = await client.recognize(jpeg())
        parts = [part async for part in client.stream(jpeg())]
    assert answer.draw(boxes="labels").width == 640
    assert all("<img" in part._repr_html_() for part in parts)


def test_answers_keep_little_in_memory(client: Client) -> None:
    """Of pictures given as bytes the latest 64 are kept, 64 MiB at most, and none whose answer is gone."""
    answers = [client.recognize(bytes(8) + bytes([index])) for index in range(70)]
    assert [answer.picture.source is None for answer in answers] == [True] * 6 + [False] * 64
    large = [client.recognize(bytes(13 * 1024 * 1024)) for _ in range(6)]
    assert sum(answer.picture.size for answer in [*answers, *large]) <= 64 * 1024 * 1024
    assert "let go for newer ones" in answers[0]._repr_html_()
    gone = weakref.ref(large.pop().picture)
    gc.collect()
    assert gone() is None


def test_an_answer_without_a_picture_is_a_table() -> None:
    """What was made of a message shows no picture, and needs one to draw into."""
    answer = read(Recognition, two_people())
    assert "<img" not in answer._repr_html_()
    with pytest.raises(InvalidImage, match=r"draw\(\"photo.jpg\"\)"):
        answer.draw()


def test_without_pillow_an_answer_is_a_table(peer: Peer) -> None:
    """A page without a picture says what to install, and so does drawing."""
    lines = run([sys.executable, "-c", WITHOUT_PILLOW, peer.address], cwd=ROOT).stdout.splitlines()
    assert "pip install" in lines[0]
    assert any("<td>Eileen Collins</td>" in line for line in lines)
    assert lines[-1] == "Drawing needs Pillow: pip install 'marquee[draw]'."


@pytest.mark.parametrize("findings", ["faces", "labels", "all"])
def test_rows_are_those_of_the_commands_csv(client: Client, peer: Peer, tmp_path: Path, findings: str) -> None:
    """Columns and values are the same, besides the file and its error; pandas takes them with numbers as numbers."""
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg())
    table = marquee("recognize", str(file), "--address", peer.address, "-o", "csv", "--rows", findings).stdout
    expected = [
        {name: value for name, value in row.items() if name not in ("file", "error")}
        for row in csv.DictReader(io.StringIO(table))
    ]
    rows = client.recognize(file).rows(findings)
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows] == [
        {name: row[name] for name in rows[0]} for row in expected
    ]
    assert pd.DataFrame(rows)["score"].dtype.kind == "f"
