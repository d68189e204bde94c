"""EnrollPerson: chosen faces go to every recognizer that enrolls, and follow what is decided of them."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image as Pillow

from marquee.library.v1 import library_pb2
from marquee.library.v1 import people_pb2 as pb
from services.runtime import status
from services.runtime.errors import GalleryBusy
from tests.support.galleries import Enrolled, Gallery, enrolled
from tests.support.library import refused
from tests.support.servers import until

ENROLLED, REFUSED, WAITING = (
    pb.FACE_ENROLLMENT_STATE_ENROLLED,
    pb.FACE_ENROLLMENT_STATE_REFUSED,
    pb.FACE_ENROLLMENT_STATE_WAITING,
)
ONE, OTHER = "one", "other"


@pytest.fixture
def galleries() -> tuple[Gallery, Gallery]:
    """Return two galleries."""
    return Gallery(ONE), Gallery(OTHER)


@pytest.fixture
async def own(database_url: str, tmp_path: Path, galleries: tuple[Gallery, Gallery]) -> AsyncIterator[Enrolled]:
    """Return clients of a library in front of the galleries."""
    async with enrolled(database_url, tmp_path / "store", *galleries) as own:
        yield own


def states(response: pb.EnrollPersonResponse) -> list[tuple[str, int]]:
    return [(one.recognizer, one.state) for one in response.enrollments]


async def test_faces_are_enrolled_everywhere(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """Each chosen face is enrolled under the person's identifier and name by all that enroll; others say why not."""
    ((ada, _), (again, _)) = await own.faces(2)
    person_id = await own.person("Ada", ada, again)
    response = await own.enroll(person_id, ada)
    assert states(response) == [(ONE, ENROLLED), (OTHER, ENROLLED)]
    assert {name: status.reason_of(one) for name, one in response.failures.items()} == {"keras": "NOT_OFFERED"}
    assert [one.people_by_id.keys() for one in galleries] == [{person_id}, {person_id}]
    assert await own.enroll(person_id, ada) == response
    best = await own.enroll(person_id, recognizers=[ONE])
    assert states(best) == [(ONE, ENROLLED)] * 2
    assert [one.faces_by_name for one in galleries] == [{"Ada": 2}, {"Ada": 1}]


async def test_a_portrait_shows_one_face(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """What recognizers get has the face with a margin, not the whole picture."""
    ((ada, _),) = await own.faces(1)
    await own.enroll(await own.person("Ada", ada))
    size = Pillow.open(io.BytesIO(galleries[0].pictures[0])).size
    assert 80 < size[0] < 250
    assert 90 < size[1] < 250


async def test_faces_that_are_not_decided_stay_out(own: Enrolled) -> None:
    """A face that nobody decided to be the person is not enrolled as them, nor is one of another collection."""
    ((ada, bea),) = await own.faces(1)
    person_id = await own.person("Ada", ada)
    assert await refused(own.enroll(person_id, bea)) == ("NOT_FOUND", "FACE_NOT_FOUND")
    assert await refused(own.enroll(person_id, ada, collection="others")) == ("NOT_FOUND", "PERSON_NOT_FOUND")


async def test_refused_pictures_are_told(database_url: str, tmp_path: Path) -> None:
    """A recognizer that refuses half of the faces says why for each; repeating the call tries these again."""
    gallery = Gallery(ONE, refuse=1)
    async with enrolled(database_url, tmp_path / "store", gallery) as own:
        ((ada, _), (again, _)) = await own.faces(2)
        person_id = await own.person("Ada", ada, again)
        response = await own.enroll(person_id, ada, again)
        assert sorted(one.state for one in response.enrollments) == [ENROLLED, REFUSED]
        (why,) = [one.status for one in response.enrollments if one.state == REFUSED]
        assert status.reason_of(why) == "FACE_BLURRED"
        gallery.refuse = 0
        assert states(await own.enroll(person_id, ada, again)) == [(ONE, ENROLLED)] * 2


async def test_a_recognizer_that_is_away_follows(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """What a recognizer that fails has missed waits, and is done once it answers; the others are not held up."""
    galleries[1].error = GalleryBusy("Try again.")
    ((ada, _),) = await own.faces(1)
    response = await own.enroll(await own.person("Ada", ada))
    assert states(response) == [(ONE, ENROLLED), (OTHER, WAITING)]
    assert status.reason_of(response.failures[OTHER]) == "GALLERY_BUSY"
    galleries[1].error = None
    await until(lambda: galleries[1].faces_by_name == {"Ada": 1})


async def test_a_refused_face_is_taken_back(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """A face that does not show the person after all leaves every recognizer, also one that was away meanwhile."""
    ((ada, _), (wrong, _)) = await own.faces(2)
    person_id = await own.person("Ada", ada, wrong)
    await own.enroll(person_id)
    galleries[1].error = GalleryBusy("Try again.")
    await own.people.RefuseFaces(pb.RefuseFacesRequest(person_id=person_id, face_ids=[wrong]))
    await until(lambda: galleries[0].faces_by_name == {"Ada": 1})
    galleries[1].error = None
    await until(lambda: galleries[1].faces_by_name == {"Ada": 1})


async def test_faces_follow_a_correction_and_its_undoing(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """A face that is decided to be somebody else is enrolled as them, and as the first again when that is undone."""
    ((ada, _), (moved, _)) = await own.faces(2)
    first = await own.person("Ada", ada, moved)
    await own.enroll(first)
    second = await own.person("Bea")
    named = await own.people.NameFaces(pb.NameFacesRequest(person_id=second, face_ids=[moved]))
    await until(lambda: all(one.faces_by_name == {"Ada": 1, "Bea": 1} for one in galleries))
    await own.people.UndoAction(pb.UndoActionRequest(action_id=named.action_id))
    await until(lambda: all(one.faces_by_name == {"Ada": 2} for one in galleries))


async def test_faces_follow_a_merge(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """The faces of who is merged are enrolled under the identifier of who stays; a new name is told everywhere."""
    ((ada, _), (again, _)) = await own.faces(2)
    first, second = await own.person("Ada", ada), await own.person("A. Lovelace", again)
    await own.enroll(first)
    await own.enroll(second)
    await own.people.MergePeople(pb.MergePeopleRequest(person_id=first, merged_ids=[second]))
    await until(lambda: all(one.faces_by_name == {"Ada": 2} for one in galleries))
    assert all(one.people_by_id.keys() == {first} for one in galleries)
    await own.people.UpdatePerson(pb.UpdatePersonRequest(person_id=first, display_name="Ada Lovelace"))
    await until(lambda: all(one.faces_by_name == {"Ada Lovelace": 2} for one in galleries))


async def test_deleted_people_leave(own: Enrolled, galleries: tuple[Gallery, Gallery]) -> None:
    """Nothing of a person who is deleted, or of a picture that is erased, stays at a recognizer."""
    ((ada, bea),) = await own.faces(1)
    first, second = await own.person("Ada", ada), await own.person("Bea", bea)
    await own.enroll(first)
    await own.enroll(second)
    await own.people.DeletePerson(pb.DeletePersonRequest(person_id=first))
    await until(lambda: all(one.faces_by_name == {"Bea": 1} for one in galleries))
    (shown,) = (await own.people.FindFaces(pb.FindFacesRequest(person_id=second))).faces
    await own.library.ErasePicture(library_pb2.ErasePictureRequest(picture_id=shown.picture_id))
    await until(lambda: all(not one.people_by_id for one in galleries))
