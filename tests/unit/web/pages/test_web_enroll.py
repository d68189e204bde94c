"""Enrolling from the page: what the gate advises, what is enrolled, and taking it back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime import errors
from services.runtime.leaf.recognizer import Enrollment, face_already_enrolled, name_taken
from tests.support.doors import line
from tests.support.enrollers import ScriptedEnroller
from tests.support.servers import Scripted, nobody, picture
from tests.support.web import csrf_token, page, recognizing, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
SHOWN = "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;"
FRAGMENT = {"HX-Request": "true"}


@dataclass(frozen=True)
class Stage:
    """A visitor of a page in front of a gateway over two enrollers and `keras`, which does not enroll."""

    client: httpx.AsyncClient
    svm: ScriptedEnroller
    rekognition: ScriptedEnroller

    async def enroll(
        self,
        fields: Mapping[str, str] | None = None,
        files: Sequence[str] = ("ada.jpg",),
        headers: Mapping[str, str] = FRAGMENT,
        path: str = "/enroll",
    ) -> httpx.Response:
        """Send the form, with a picture for each file name."""
        return await enroll(self.client, fields, files, headers, path)

    async def undo(self, shown: str) -> str:
        """Take back what was shown; return what comes of it."""
        values: dict[str, list[str]] = {}
        for part in shown.split('<input type="hidden" name="')[1:]:
            name, _, rest = part.partition('" value="')
            values.setdefault(name, []).append(rest.partition('"')[0])
        form = values | {"csrf_token": csrf_token(await self.client.get("/enroll"))}
        return (await self.client.post("/enroll/undo", data=form, headers=FRAGMENT)).text


class Measuring(ScriptedEnroller):
    """Enrolls every picture, tells its quality, and remarks on it."""

    async def enroll(self, enrollment: Enrollment) -> pb.EnrollmentResult:
        result = await super().enroll(enrollment)
        quality = recognizer_pb2.FaceQuality(sharpness=0.8, pose=recognizer_pb2.Pose(yaw=-12.3, pitch=3))
        for face in result.faces:
            face.quality.CopyFrom(quality)
            face.warnings.append(HOSTILE)
        return result


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage() -> AsyncIterator[Stage]:
    svm, rekognition = ScriptedEnroller("svm"), Measuring("rekognition")
    recognizers = [Scripted(name) for name in ("svm", "rekognition", "keras")]
    async with (
        recognizing(*recognizers, enrollers={"svm": svm, "rekognition": rekognition}) as address,
        page(address) as site,
        site.client() as client,
    ):
        yield Stage(client, svm, rekognition)


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    for one in (shared_stage.svm, shared_stage.rekognition):
        vars(one).update(vars(ScriptedEnroller(one.name)))
    return shared_stage


async def enroll(
    client: httpx.AsyncClient,
    fields: Mapping[str, str] | None = None,
    files: Sequence[str] = ("ada.jpg",),
    headers: Mapping[str, str] = FRAGMENT,
    path: str = "/enroll",
) -> httpx.Response:
    form = {"csrf_token": csrf_token(await client.get("/enroll")), "name": "Ada Lovelace"} | dict(fields or {})
    uploads = [("image", (name, picture(), "image/jpeg")) for name in files]
    return await client.post(path, data=form, files=uploads or None, headers=dict(headers))


async def test_a_picture_is_enrolled_under_the_name(stage: Stage) -> None:
    """The form's fields and pictures reach each recognizer that enrolls; the others are told as those that cannot."""
    fields = {"name": " Ada Lovelace ", "collection": "staff", "allow_similar": "on"}
    answer = await stage.enroll(fields, ["1", "2"])
    assert answer.status_code == 200
    assert "Ada Lovelace is enrolled" in answer.text
    assert "<code>ada-lovelace</code>" in answer.text
    assert "Cannot learn this: keras" in answer.text
    enrolled = stage.svm.enrolled[0]
    assert (enrolled.person_id, enrolled.display_name, enrolled.collection) == ("ada-lovelace", "Ada Lovelace", "staff")
    assert (len(enrolled.images), enrolled.allow_similar, enrolled.allow_different) == (2, True, False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.NoFace("Nobody to be seen."), ["No face", "Nobody to be seen."]),
        (errors.SeveralFaces("There are 2."), ["Several faces", "There are 2."]),
        (errors.FaceTooSmall("40 pixels."), ["Face too small", "40 pixels."]),
        (errors.FaceBlurred("0.1."), ["Face not sharp", "0.1."]),
        (errors.FaceTurned("50 degrees."), ["Face turned away", "50 degrees."]),
        (face_already_enrolled("mia", "Mia"), ["Known as somebody else", "enrolled as Mia.", "allow_similar"]),
        (name_taken("ada", "Ada"), ["Name taken", "those of Ada,", "allow_different", 'name="person_id"']),
        (errors.NoFace(HOSTILE), [SHOWN]),
        (face_already_enrolled(HOSTILE, HOSTILE), [SHOWN]),
    ],
)
async def test_a_refused_picture_is_told_with_what_to_do(stage: Stage, error: Exception, expected: list[str]) -> None:
    """What the gate advises is shown as text, and what it would let pass is offered."""
    stage.svm.refuse = stage.rekognition.refuse = {0: error}
    answer = await stage.enroll()
    assert answer.status_code == 200
    assert "Ada Lovelace is not enrolled" in answer.text
    assert [text for text in expected if text not in answer.text] == []
    assert "<img" not in answer.text


async def test_nothing_is_offered_that_the_gate_did_not_ask_for(stage: Stage) -> None:
    """A face that is refused for its quality cannot be forced, and there is nothing to take back."""
    stage.svm.refuse = stage.rekognition.refuse = {0: errors.FaceBlurred("Blurred.")}
    answer = await stage.enroll()
    assert [word for word in ("allow_", "person_id", "Undo") if word in answer.text] == []


async def test_quality_and_remarks_are_told(stage: Stage) -> None:
    """How good the face was is told in words, and what the recognizer remarks, as text."""
    answer = await stage.enroll()
    assert "Sharpness 80 %, turned 12° aside and 3° up or down" in answer.text
    assert SHOWN in answer.text


async def test_a_recognizer_that_fails_does_not_hide_the_others(stage: Stage) -> None:
    """Who has learned the face is told apart from who could not, with why."""
    stage.rekognition.error = errors.GalleryBusy("Others are at it.")
    answer = await stage.enroll()
    assert "Ada Lovelace is enrolled at svm, not at rekognition" in answer.text
    assert "Others are at it." in answer.text


async def test_only_what_was_just_enrolled_is_taken_back(stage: Stage) -> None:
    """Undo removes the faces that this enrollment added, at each recognizer, and no others."""
    stage.svm.refuse = {0: errors.NoFace("None.")}
    shown = (await stage.enroll({"collection": "staff"}, ["1", "2"])).text
    assert "3 faces removed" in await stage.undo(shown)
    removals = [one.face_removals[0] for one in (stage.svm, stage.rekognition)]
    assert [[key.face.face_id for key in one.faces] for one in removals] == [["1"], ["0", "1"]]
    assert [one.collection for one in removals] == ["staff"] * 2


async def test_more_faces_than_a_call_takes_are_taken_back(stage: Stage) -> None:
    """More faces than one call removes are taken back by several."""
    faces = {"recognizer": ["svm"] * 96, "face_id": ["7"] * 96}
    form = faces | {"csrf_token": csrf_token(await stage.client.get("/enroll"))}
    answer = await stage.client.post("/enroll/undo", data=form, headers=FRAGMENT)
    assert "96 faces removed" in answer.text
    assert [len(one.faces) for one in stage.svm.face_removals] == [64, 32]


async def test_what_could_not_be_taken_back_is_told(stage: Stage) -> None:
    """A face that stays is told with why."""
    stage.svm.busy = ("0",)
    answer = await stage.undo((await stage.enroll()).text)
    assert "Taken back: 1 face removed" in answer
    assert "<strong>svm</strong>: Busy." in answer


@pytest.mark.parametrize(
    ("fields", "files", "code", "expected"),
    [
        ({"name": "  "}, ["a"], 400, "give a name"),
        ({}, [], 400, "Send a picture."),
        ({"name": "x" * 201}, ["a"], 400, "display_name"),
        ({"name": "a\x07b"}, ["a"], 400, "display_name"),
        ({"name": HOSTILE, "person_id": HOSTILE}, ["a"], 400, "person_id"),
        ({"collection": HOSTILE}, ["a"], 400, "collection"),
        ({"name": HOSTILE}, [HOSTILE], 200, SHOWN),
        ({"s3": "s3://closed/key"}, [], 403, "closed"),
        ({"s3": "https://example.com/x.jpg"}, [], 400, "s3://bucket/key"),
        ({}, ["a"] * 33, 400, "Too many files"),
        ({"csrf_token": "x"}, ["a"], 403, "The page is out of date: reload it and try again."),
    ],
)
async def test_wrong_forms_are_refused_in_words(
    stage: Stage, fields: dict[str, str], files: list[str], code: int, expected: str
) -> None:
    """A form that cannot be right is refused with what is wrong; whatever is in it is shown as text."""
    answers = [await stage.enroll(fields, files, headers) for headers in (FRAGMENT, {})]
    assert [(answer.status_code, expected in answer.text) for answer in answers] == [(code, True)] * 2
    assert [answer for answer in answers if "<img" in answer.text] == []


@pytest.mark.parametrize(
    ("fields", "code", "expected"),
    [
        ({}, 400, "Say what to take back"),
        ({"face_id": "1"}, 400, "Say what to take back"),
        ({"face_id": "", "recognizer": ""}, 400, "face_id"),
        ({"face_id": "1", "recognizer": HOSTILE}, 400, "&lt;img src=x"),
        ({"face_id": "1", "recognizer": "svm", "csrf_token": "x"}, 403, "The page is out of date"),
    ],
)
async def test_wrong_undos_are_refused_in_words(stage: Stage, fields: dict[str, str], code: int, expected: str) -> None:
    """A form that does not say what to take back, or comes from elsewhere, is refused."""
    answer = await stage.enroll(fields, (), path="/enroll/undo")
    assert (answer.status_code, expected in answer.text) == (code, True)


async def test_forms_of_other_charsets_are_refused(stage: Stage) -> None:
    """A form in a charset that makes texts which nothing else can take is refused in words."""
    headers = FRAGMENT | {"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    answer = await stage.client.post("/enroll", content=b"--x--", headers=headers)
    assert (answer.status_code, "Send the form in UTF-8." in answer.text) == (400, True)


async def test_without_script_the_whole_page_answers(stage: Stage) -> None:
    """A form that a browser sends by itself is answered with the page, name and result in it."""
    answer = await stage.enroll(headers={})
    assert "<title>Enroll a person" in answer.text
    assert 'value="Ada Lovelace"' in answer.text
    assert "Ada Lovelace is enrolled" in answer.text


async def test_viewers_may_not_enroll(tmp_path: Path) -> None:
    """Who may only recognize is told so on the page, and refused what its form sends."""
    callers = tmp_path / "callers"
    callers.write_text(line("theirs", name="ada", scopes="recognize"))
    svm = ScriptedEnroller("svm")
    async with (
        recognizing(Scripted("svm"), enrollers={"svm": svm}) as address,
        page(address, callers=callers) as site,
        site.client() as client,
    ):
        await sign_in(client, "theirs")
        shown = await client.get("/enroll")
        form = {"csrf_token": csrf_token(await client.get("/status")), "name": "Ada"}
        sent = await client.post("/enroll", data=form, files={"image": picture()}, headers=FRAGMENT)
        undone = await client.post("/enroll/undo", data=form | {"recognizer": "svm", "face_id": "0"}, headers=FRAGMENT)
    assert [answer.status_code for answer in (shown, sent, undone)] == [403] * 3
    assert [answer for answer in (shown, sent, undone) if "You may not do this" not in answer.text] == []
    assert (svm.enrolled, svm.face_removals) == ([], [])


async def test_editors_enroll_into_their_collections_only(tmp_path: Path) -> None:
    """The form offers the collections that somebody may use, and any other is refused."""
    callers = tmp_path / "callers"
    callers.write_text(line("theirs", name="ada", scopes="recognize,enroll", collections="staff,guests"))
    async with (
        recognizing(Scripted("svm"), enrollers={"svm": ScriptedEnroller("svm")}) as address,
        page(address, callers=callers) as site,
        site.client() as client,
    ):
        await sign_in(client, "theirs")
        shown = (await client.get("/enroll")).text
        allowed = await enroll(client, {"collection": "staff"})
        refused = await enroll(client, {"collection": "board"})
    assert "<option>guests</option>" in shown
    assert "<option>staff</option>" in shown
    assert "The usual one" not in shown
    assert (allowed.status_code, refused.status_code) == (200, 403)
    assert "board" in refused.text


async def test_without_a_gateway_it_is_told() -> None:
    """If the gateway is away, the form is answered with that, and keeps the name."""
    async with page(nobody()) as site, site.client() as client:
        answer = await enroll(client, headers={})
    assert answer.status_code == 503
    assert "The gateway cannot be reached" in answer.text
    assert 'value="Ada Lovelace"' in answer.text
