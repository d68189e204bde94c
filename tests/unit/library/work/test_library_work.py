"""Pictures that are added are recognized by the gateway, and what it found is kept."""

import asyncio
import threading
from pathlib import Path

import pytest

from marquee.library.v1 import library_pb2 as lib
from marquee.v1 import recognizer_pb2 as pb
from services.gateway.config import BackendConfig, CacheConfig
from services.library.pictures import intake
from services.library.store.rendition import Rendition, render
from services.runtime.errors import NotReady
from tests.support.doors import bearer, line
from tests.support.library import added, ended, library, rows, shown_when
from tests.support.processes import PATIENCE
from tests.support.servers import LEFT, NEAR_LEFT, RIGHT, Scripted, face, gateway, leaf, nobody, picture, result, until

ALL = (pb.FEATURE_CELEBRITIES, pb.FEATURE_LABELS, pb.FEATURE_TEXT, pb.FEATURE_MODERATION)
FOUND = result(
    "svm",
    face(LEFT, "Anna"),
    face(RIGHT),
    labels=[pb.Label(name="Boat", score=0.5), pb.Label(name="Sea", score=0.9)],
    texts=[pb.Text(content="Ahoy", score=0.8)],
    moderation_labels=[pb.ModerationLabel(name="Alcohol", score=0.7)],
    cost_micro_usd=7,
)


async def test_a_picture_is_recognized(database_url: str, tmp_path: Path) -> None:
    """A picture is PENDING when it is added, and has faces, labels and answers once the gateway has answered."""
    recognizer = Scripted("svm", result=FOUND, features=ALL)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        new = await added(client, features=ALL)
        assert new.state == lib.PICTURE_STATE_PENDING
        shown = await ended(client, new.picture_id)
    assert (shown.state, shown.job.state) == (lib.PICTURE_STATE_RECOGNIZED, lib.JOB_STATE_DONE)
    assert [one.verdict.display_name for one in shown.faces] == ["Anna", ""]
    assert [one.name for one in shown.labels] == ["Sea", "Boat"]
    assert [one.name for one in shown.moderation_labels] == ["Alcohol"]
    assert [one.content for one in shown.texts] == ["Ahoy"]
    assert [(one.source, one.result.recognizer) for one in shown.answers] == [(lib.ANSWER_SOURCE_CALL, "svm")]
    assert (shown.width, shown.height, shown.format) == (8, 6, "JPEG")
    events = await rows(database_url, "SELECT type, caller, data->>'state' FROM event ORDER BY event_key")
    assert events == [("picture.added", "anonymous", None), ("picture.recognized", "", "RECOGNIZED")]


async def test_the_gateway_learns_for_whom_and_that_nobody_waits(database_url: str, tmp_path: Path) -> None:
    """The library calls with its own token for who added the picture, with their budget, and with priority batch."""
    (tmp_path / "token").write_text("secret-of-the-operator")
    (tmp_path / "relays").write_text(line("secret-of-the-operator", name="relay", scopes="recognize,relay"))
    anna = {"name": "anna", "scopes": "library-read,library-write", "usd": "2.5"}
    (tmp_path / "callers").write_text(line("secret-of-anna", **anna))
    recognizer = Scripted("svm")
    own = {"library_gateway_token_file": tmp_path / "token", "callers": tmp_path / "callers"}
    async with (
        leaf(recognizer, callers=tmp_path / "relays") as target,
        gateway(
            {"svm": BackendConfig(target=target, token_file=tmp_path / "token")}, callers=tmp_path / "relays"
        ) as address,
        library(database_url, tmp_path / "store", address, **own) as client,
    ):
        request = lib.AddImageRequest(image=pb.Image(content=picture()))
        await client.AddImage(request, metadata=bearer("secret-of-anna"))
        await until(lambda: recognizer.calls)
    (caller,) = recognizer.callers
    assert (caller.name, caller.daily_micro_usd) == ("anna", 2_500_000)
    assert recognizer.are_batch == [True]


async def test_faces_keep_their_identifiers(database_url: str, tmp_path: Path) -> None:
    """A picture that is recognized again keeps the face_ids of faces at the same places, and all answers."""
    recognizer = Scripted("svm", result=FOUND)
    async with (
        leaf(recognizer) as target,
        gateway({"svm": target}) as address,
        library(database_url, tmp_path, address) as client,
    ):
        before = await ended(client, (await added(client)).picture_id)
        recognizer.result = result("svm", face(NEAR_LEFT, "Berta"))
        again = lib.RecognizePictureRequest(picture_id=before.picture_id, wait=True)
        after = (await client.RecognizePicture(again)).picture
        assert after.state == lib.PICTURE_STATE_RECOGNIZED
        assert [one.verdict.display_name for one in after.faces] == ["Berta"]
        assert after.faces[0].face_id == before.faces[0].face_id
        recognizer.result = FOUND
        back = (await client.RecognizePicture(again)).picture
        assert [one.face_id for one in back.faces] == [one.face_id for one in before.faces]
        shown = await ended(client, before.picture_id)
    assert len(shown.answers) == 3
    assert recognizer.calls[2].features == recognizer.calls[0].features


async def test_what_failed_for_now_is_tried_again(database_url: str, tmp_path: Path) -> None:
    """If a recognizer fails for now, the others' answers are shown at once, and kept once; then it is asked again."""
    svm, other = Scripted("svm", result=FOUND), Scripted("other", error=NotReady("Not yet."))
    async with (
        leaf(svm) as target,
        leaf(other) as second,
        gateway({"svm": target, "other": second}, cache=CacheConfig()) as address,
        library(database_url, tmp_path, address) as client,
    ):
        picture_id = (await added(client)).picture_id
        early = await shown_when(client, picture_id, lambda shown: shown.faces)
        assert early.state == lib.PICTURE_STATE_PENDING
        assert "Not yet." in early.job.status.message
        other.error = None
        shown = await ended(client, picture_id)
    assert shown.state == lib.PICTURE_STATE_RECOGNIZED
    assert sorted(one.result.recognizer for one in shown.answers) == ["other", "svm"]
    assert len(svm.calls) == 1


async def test_adding_does_not_wait_for_pictures_to_be_decoded(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AddImage answers while as many pictures are decoded, or wait for their turn, as there are workers."""
    may_end = threading.Event()
    begun: list[bytes] = []

    def decode(content: bytes) -> Rendition:
        begun.append(content)
        may_end.wait(PATIENCE)
        return render(content)

    monkeypatch.setattr(intake, "render", decode)
    async with library(database_url, tmp_path, nobody(), library_workers=40) as client:
        for number in range(40):
            await added(client, picture((8 + number, 8)))
        while await rows(database_url, "SELECT FROM job WHERE state = 1"):  # noqa: ASYNC110 - workers change it
            await asyncio.sleep(0.02)
        await added(client, picture((8, 9)))
        may_end.set()
    assert begun
