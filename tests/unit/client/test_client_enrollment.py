"""Tests of enrolling, listing and removing people through the client, with a real recognizer and gateway."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import marquee
from marquee import AsyncClient, Client, EnrollmentState, FaceId, FaceKey, Outcome
from marquee.requests import build_enrollment, build_face_listing, build_face_removal, build_listing, build_removal
from services.svm.gallery.people import EnrolledFace, EnrolledPerson, Snapshot
from tests.support.enrollment_servers import EnrollmentServers, more_portraits
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("portraits_here")


async def test_both_clients_enroll(enrolling: EnrollmentServers) -> None:
    """Both clients see the same enrollment, with one result per recognizer."""
    with Client(enrolling.gateway) as client:
        first = await asyncio.to_thread(client.enroll, ["hopper.jpg"], person_id="grace-hopper", request_id="r-1")
    async with AsyncClient(enrolling.gateway) as other:
        again = await other.enroll("hopper.jpg", person_id="grace-hopper", request_id="r-2")
    svm, mute = first.results
    assert (first.request_id, first.person_id, first.gateway) == ("r-1", "grace-hopper", "gateway")
    assert (svm.recognizer, svm.outcome, svm.faces[0].state) == ("svm", Outcome.OK, EnrollmentState.ENROLLED)
    assert svm.person is not None
    assert (svm.person.display_name, svm.person.face_count, svm.person.trained) == ("Grace Hopper", 1, True)
    assert svm.person.create_time is not None
    assert datetime.now(UTC) - svm.person.create_time < timedelta(minutes=1)
    assert (mute.recognizer, mute.outcome, mute.faces) == ("mute", Outcome.SKIPPED, ())
    assert again.results[0].faces[0].state is EnrollmentState.ALREADY_ENROLLED
    assert again.results[0].faces[0].face_id == svm.faces[0].face_id
    assert again.raw.results[0].person.face_count == 1


async def test_a_renamed_person_is_recognized_under_the_new_name(enrolling: EnrollmentServers) -> None:
    """A call without pictures renames the person and keeps the person_id."""
    async with AsyncClient(enrolling.gateway) as client:
        await client.enroll([], person_id="grace-hopper", display_name="Adm. Hopper")
        verdict = (await client.recognize("hopper.jpg", recognizers=["svm"])).verdicts[0]
    assert (verdict.person_id, verdict.display_name) == ("grace-hopper", "Adm. Hopper")


def test_a_refused_picture_has_a_reason_and_the_others_count(enrolling: EnrollmentServers) -> None:
    """If one picture is refused, the result is PARTIAL and that picture's status has a reason and advice."""
    with Client(enrolling.gateway) as client:
        result = client.enroll(["both.jpg", Path("hopper.jpg")], person_id="grace-hopper").results[0]
    assert result.outcome is Outcome.PARTIAL
    assert [face.state for face in result.faces] == [EnrollmentState.REFUSED, EnrollmentState.ENROLLED]
    assert (result.faces[0].status.reason, result.faces[0].box) == ("SEVERAL_FACES", None)
    assert "Crop it to the person's face." in result.faces[0].status.message


async def test_refusing_all_pictures_raises_with_each_reason(enrolling: EnrollmentServers) -> None:
    """With or without a gateway, UnfitFace has the response and one cause per recognizer and picture."""
    pictures = ["both.jpg", "coffee.jpg"]
    with Client(enrolling.gateway) as client, pytest.raises(marquee.UnfitFace) as raised:
        await asyncio.to_thread(client.enroll, pictures, display_name="Ada")
    async with AsyncClient(enrolling.svm) as other:
        with pytest.raises(marquee.UnfitFace) as alone:
            await other.enroll(pictures, display_name="Ada")
    for error in (raised.value, alone.value):
        assert (error.code, error.reason) == ("INVALID_ARGUMENT", "NO_FACE_ENROLLED")
        assert error.message.startswith("No picture was enrolled. picture 1: There are 2 faces in the picture.")
        assert [cause.reason for cause in error.causes[0].causes] == ["SEVERAL_FACES", "NO_FACE"]
        assert error.enrollment is not None
        assert error.request_id == error.enrollment.request_id
        assert [face.state for face in error.enrollment.results[0].faces] == [EnrollmentState.REFUSED] * 2


def test_a_single_refused_picture_raises_its_own_reason(enrolling: EnrollmentServers) -> None:
    """A single refused picture raises its own reason, even if another recognizer failed; both results are returned."""
    with Client(enrolling.broken) as client, pytest.raises(marquee.UnfitFace, match="There is no face") as raised:
        client.enroll("coffee.jpg", display_name="Ada")
    assert raised.value.reason == "NO_FACE"
    assert raised.value.enrollment is not None
    assert [result.outcome for result in raised.value.enrollment.results] == [Outcome.PARTIAL, Outcome.ERROR]


def test_another_persons_face_is_refused(enrolling: EnrollmentServers) -> None:
    """FaceAlreadyEnrolled names the person who has the face; allow_similar enrolls it anyway."""
    with Client(enrolling.gateway) as client:
        with pytest.raises(marquee.FaceAlreadyEnrolled) as raised:
            client.enroll("hopper.jpg", display_name="Ada Lovelace")
        enrolled = client.enroll("hopper.jpg", display_name="Ada Lovelace", allow_similar=True)
    assert (raised.value.metadata["person_id"], raised.value.metadata["display_name"]) == (
        "grace-hopper",
        "Grace Hopper",
    )
    assert (enrolled.person_id, enrolled.results[0].outcome) == ("ada-lovelace", Outcome.OK)


def test_an_unknown_person_cannot_be_renamed(enrolling: EnrollmentServers) -> None:
    """Renaming an unknown person raises PersonNotFound."""
    with Client(enrolling.gateway) as client, pytest.raises(marquee.PersonNotFound):
        client.enroll([], person_id="nobody", display_name="Nobody")


async def test_both_clients_remove_and_warn_about_trained_people(enrolling: EnrollmentServers) -> None:
    """Removing a person twice is not an error; people from the training data remain known, with a warning."""
    async with AsyncClient(enrolling.gateway) as client:
        await client.enroll(more_portraits(2), display_name="Ada", allow_similar=True)
        await client.enroll("collins.jpg", person_id="eileen-collins")
        ada = await client.remove_person("ada", request_id="r-1")
        trained = await client.remove_person("eileen-collins")
    with Client(enrolling.gateway) as other:
        again = await asyncio.to_thread(other.remove_person, "ada")
    assert (ada.request_id, ada.results[0].removed_faces, ada.results[0].outcome) == ("r-1", 2, Outcome.OK)
    assert (again.results[0].removed_faces, again.results[0].outcome) == (0, Outcome.OK)
    assert (trained.results[0].removed_faces, trained.results[0].outcome) == (1, Outcome.PARTIAL)
    assert "trained model" in trained.results[0].warnings[0]


async def test_both_clients_list_and_remove_faces(enrolling: EnrollmentServers) -> None:
    """A person's faces are listed with their origin; each is removed by its id or picture, and again without harm."""
    first, second = more_portraits(2)
    async with AsyncClient(enrolling.gateway) as client:
        await client.enroll([first, second], display_name="Ada", allow_similar=True)
        svm, mute = await client.list_faces("ada")
        face = FaceId("svm", svm.faces[0].face_id)
        removal = await client.remove_faces(face, person_id="ada", request_id="r-1")
    with Client(enrolling.gateway) as other:
        digest = hashlib.sha256(second).hexdigest()
        last = await asyncio.to_thread(other.remove_faces, [face, digest], recognizers="svm")
        none = await asyncio.to_thread(other.list_faces, "ada", recognizers="svm")
    assert [one.content_sha256 for one in svm.faces] == [hashlib.sha256(first).hexdigest(), digest]
    assert svm.person is not None
    assert (svm.person.face_count, svm.faces[0].s3_object, mute.outcome) == (2, None, Outcome.SKIPPED)
    assert (removal.request_id, removal.gateway, removal.results[0].outcome) == ("r-1", "gateway", Outcome.OK)
    assert [(one.key, one.status.code, one.removed_faces) for one in removal.results[0].faces] == [
        (FaceKey(face), "OK", 1)
    ]
    assert [(one.key, one.removed_faces) for one in last.results[0].faces] == [
        (FaceKey(face), 0),
        (FaceKey(None, digest), 1),
    ]
    assert last.results[0].warnings == ("ada has no face left and is no longer known.",)
    assert [(one.recognizer, one.person, one.faces) for one in none] == [("svm", None, ())]


def test_a_taken_name_is_refused(enrolling: EnrollmentServers) -> None:
    """NameTaken names the person whose faces differ; allow_different enrolls the face anyway."""
    with Client(enrolling.gateway) as client:
        client.enroll("hopper.jpg", display_name="Ada", allow_similar=True)
        with pytest.raises(marquee.NameTaken) as raised:
            client.enroll("collins.jpg", display_name="ADA", allow_similar=True)
        enrolled = client.enroll("collins.jpg", display_name="ADA", allow_similar=True, allow_different=True)
    assert (raised.value.metadata["person_id"], raised.value.metadata["display_name"]) == ("ada", "Ada")
    assert enrolled.results[0].outcome is Outcome.OK


async def test_people_are_listed_across_all_pages(enrolling: EnrollmentServers) -> None:
    """Both clients list all pages, sorted by person_id; recognizers that do not enroll are SKIPPED."""
    numbers = range(1005)
    created, own = "2026-01-02T03:04:05+00:00", (EnrolledFace("a"),)
    people = tuple(EnrolledPerson(f"p-{n:04}", f"Person {n}", created, own) for n in numbers)
    rows = np.repeat(np.arange(len(people), dtype=np.float32)[:, np.newaxis], 128, axis=1)
    enrolling.gallery.write_bytes(Snapshot(people, rows).to_bytes())
    async with AsyncClient(enrolling.gateway) as client:
        async with asyncio.timeout(PATIENCE):
            while len((svm := (await client.people())[0]).people) < len(people):  # noqa: ASYNC110 - svm sends no event
                await asyncio.sleep(0.05)
        listed = await client.people()
    with Client(enrolling.gateway) as other:
        assert await asyncio.to_thread(other.people) == listed
        assert await asyncio.to_thread(other.people, recognizers="svm") == (svm,)
    ids = [person.person_id for person in svm.people]
    assert ids == sorted([*(person.person_id for person in people), "eileen-collins", "grace-hopper"])
    assert svm.people[-1].create_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [(result.recognizer, result.outcome) for result in listed] == [
        ("svm", Outcome.OK),
        ("mute", Outcome.SKIPPED),
    ]


def test_a_recognizer_that_does_not_enroll_is_unimplemented(enrolling: EnrollmentServers) -> None:
    """A recognizer that cannot enroll raises Unimplemented with advice, with and without a gateway."""
    with Client(enrolling.mute) as client, pytest.raises(marquee.Unimplemented, match="Use another"):
        client.people()
    with Client(enrolling.gateway) as client, pytest.raises(marquee.Unimplemented, match="mute does not enroll"):
        client.enroll("hopper.jpg", display_name="Ada", recognizers=["mute"])


def test_every_option_reaches_the_requests() -> None:
    """Each option sets its field, a single picture or name becomes a list, and calls that make changes get an ID."""
    options = {"collection": "staff", "recognizers": "svm"}
    who = {"display_name": "Ada", "person_id": "ada", "allow_similar": True, "allow_different": True}
    enrollment = build_enrollment(b"picture", **who, **options)
    removal, listing = build_removal("ada", **options), build_listing(**options)
    faces = build_face_removal([FaceId("svm", "f"), "0" * 64], person_id="ada", **options)
    face_listing = build_face_listing("ada", **options)
    assert [image.content for image in enrollment.images] == [b"picture"]
    assert {name: getattr(enrollment, name) for name in who} == who
    assert [one.person_id for one in (removal, faces, face_listing)] == ["ada"] * 3
    assert [(key.face.recognizer, key.face.face_id, key.content_sha256) for key in faces.faces] == [
        ("svm", "f", ""),
        ("", "", "0" * 64),
    ]
    for request in (enrollment, removal, listing, faces, face_listing):
        assert (request.collection, list(request.recognizers)) == ("staff", ["svm"])
    assert enrollment.request_id != removal.request_id != ""


def test_pictures_over_the_message_limit_are_not_sent() -> None:
    """Pictures over 16 MiB in total are refused, and the message says where the limit is exceeded."""
    with pytest.raises(marquee.InvalidRequest, match=r"first 3 pictures exceed 16 MiB in total"):
        build_enrollment([bytes(6 * 1024 * 1024)] * 4, display_name="Ada")


def test_lists_are_tables_in_notebooks(enrolling: EnrollmentServers) -> None:
    """Recognizers, people, their faces and an enrollment have rows of the same columns, and are tables."""
    with Client(enrolling.gateway) as client:
        enrolled = client.enroll(["hopper.jpg", "both.jpg"], person_id="grace-hopper")
        faces, people, recognizers = client.list_faces("grace-hopper"), client.people(), client.recognizers()
    assert [(row["recognizer"], row["picture"], row["state"]) for row in enrolled.rows()] == [
        ("svm", 1, enrolled.results[0].faces[0].state),
        ("svm", 2, "REFUSED"),
        ("mute", None, None),
    ]
    assert {row["face_id"] for row in faces.rows()} >= {enrolled.results[0].faces[0].face_id}
    assert "grace-hopper" in {row["person_id"] for row in people.rows()}
    assert [row["name"] for row in recognizers.rows()] == ["svm", "mute"]
    for answer in (enrolled, faces, people, recognizers):
        assert len({tuple(row) for row in answer.rows()}) == 1
        assert answer._repr_html_().count("<tr>") == 1 + len(answer.rows())
