"""Enrolling, listing and removing people through the client, against a real recognizer behind a real gateway."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import marquee
from marquee import AsyncClient, Client, EnrollmentState, Outcome
from marquee.requests import build_enrollment, build_listing, build_removal
from services.svm.gallery.people import EnrolledPerson, Snapshot
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


async def test_whoever_was_renamed_is_recognized_under_the_new_name(enrolling: EnrollmentServers) -> None:
    """A call without pictures renames the person and keeps the person_id."""
    async with AsyncClient(enrolling.gateway) as client:
        await client.enroll([], person_id="grace-hopper", display_name="Adm. Hopper")
        verdict = (await client.recognize("hopper.jpg", recognizers=["svm"])).verdicts[0]
    assert (verdict.person_id, verdict.display_name) == ("grace-hopper", "Adm. Hopper")


def test_a_refused_picture_tells_why_and_the_others_count(enrolling: EnrollmentServers) -> None:
    """The result is PARTIAL; the refused picture's status has a reason and advice."""
    with Client(enrolling.gateway) as client:
        result = client.enroll(["both.jpg", Path("hopper.jpg")], person_id="grace-hopper").results[0]
    assert result.outcome is Outcome.PARTIAL
    assert [face.state for face in result.faces] == [EnrollmentState.REFUSED, EnrollmentState.ENROLLED]
    assert (result.faces[0].status.reason, result.faces[0].box) == ("SEVERAL_FACES", None)
    assert "Crop it to the person's face." in result.faces[0].status.message


async def test_refusing_all_pictures_raises_with_each_one_s_reason(enrolling: EnrollmentServers) -> None:
    """UnfitFace with one cause per recognizer and picture, and the response; also without a gateway."""
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
    """Even if another recognizer failed: the response has both results."""
    with Client(enrolling.broken) as client, pytest.raises(marquee.UnfitFace, match="There is no face") as raised:
        client.enroll("coffee.jpg", display_name="Ada")
    assert raised.value.reason == "NO_FACE"
    assert raised.value.enrollment is not None
    assert [result.outcome for result in raised.value.enrollment.results] == [Outcome.PARTIAL, Outcome.ERROR]


def test_another_person_s_face_is_told(enrolling: EnrollmentServers) -> None:
    """FaceAlreadyEnrolled names that person; allow_similar enrolls anyway."""
    with Client(enrolling.gateway) as client:
        with pytest.raises(marquee.FaceAlreadyEnrolled) as raised:
            client.enroll("hopper.jpg", display_name="Ada Lovelace")
        enrolled = client.enroll("hopper.jpg", display_name="Ada Lovelace", allow_similar=True)
    assert (raised.value.metadata["person_id"], raised.value.metadata["display_name"]) == (
        "grace-hopper",
        "Grace Hopper",
    )
    assert (enrolled.person_id, enrolled.results[0].outcome) == ("ada-lovelace", Outcome.OK)


def test_nobody_unknown_is_renamed(enrolling: EnrollmentServers) -> None:
    """Renaming an unknown person raises PersonNotFound."""
    with Client(enrolling.gateway) as client, pytest.raises(marquee.PersonNotFound):
        client.enroll([], person_id="nobody", display_name="Nobody")


async def test_both_clients_remove_and_tell_what_stays(enrolling: EnrollmentServers) -> None:
    """Removing twice is no error. People from the training data remain known, with a warning."""
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


async def test_people_are_listed_over_all_pages(enrolling: EnrollmentServers) -> None:
    """Both clients list all pages, sorted by person_id; recognizers that do not enroll are SKIPPED."""
    numbers = range(1005)
    people = tuple(EnrolledPerson(f"p-{n:04}", f"Person {n}", "2026-01-02T03:04:05+00:00", ("a",)) for n in numbers)
    rows = np.repeat(np.arange(len(people), dtype=np.float32)[:, np.newaxis], 128, axis=1)
    enrolling.gallery.write_bytes(Snapshot(people, rows).to_bytes())
    async with AsyncClient(enrolling.gateway) as client:
        async with asyncio.timeout(PATIENCE):
            while len((svm := (await client.people())[0]).people) < len(people):  # noqa: ASYNC110 - svm tells nobody
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
    """With advice, with and without a gateway."""
    with Client(enrolling.mute) as client, pytest.raises(marquee.Unimplemented, match="Use another"):
        client.people()
    with Client(enrolling.gateway) as client, pytest.raises(marquee.Unimplemented, match="mute does not enroll"):
        client.enroll("hopper.jpg", display_name="Ada", recognizers=["mute"])


def test_every_option_reaches_the_requests() -> None:
    """Each option sets its field; a single picture or name is one; calls that change something get an ID."""
    options = {"collection": "staff", "recognizers": "svm"}
    enrollment = build_enrollment(b"picture", display_name="Ada", person_id="ada", allow_similar=True, **options)
    removal, listing = build_removal("ada", **options), build_listing(**options)
    assert [image.content for image in enrollment.images] == [b"picture"]
    assert (enrollment.display_name, enrollment.person_id, enrollment.allow_similar) == ("Ada", "ada", True)
    assert removal.person_id == "ada"
    for request in (enrollment, removal, listing):
        assert (request.collection, list(request.recognizers)) == ("staff", ["svm"])
    assert enrollment.request_id != removal.request_id != ""


def test_more_than_a_message_holds_is_refused_before_it_is_sent() -> None:
    """The limit is 16 MiB in total; the message says which picture exceeds it."""
    with pytest.raises(marquee.InvalidRequest, match=r"first 3 pictures exceed 16 MiB in total"):
        build_enrollment([bytes(6 * 1024 * 1024)] * 4, display_name="Ada")
