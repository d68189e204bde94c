"""ReconcilePeople and AdoptPeople: a recognizer that knows others than the library does, or others again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marquee.library.v1 import people_pb2 as pb
from services.runtime import status
from services.runtime.errors import GalleryBusy
from tests.support.galleries import Enrolled, Gallery, enrolled

MISSING, FOREIGN, LEFT = (
    pb.DIFFERENCE_KIND_FACE_MISSING,
    pb.DIFFERENCE_KIND_FACE_FOREIGN,
    pb.DIFFERENCE_KIND_FACE_LEFT,
)
NAME, STRANGER, GONE = (
    pb.DIFFERENCE_KIND_NAME,
    pb.DIFFERENCE_KIND_PERSON_FOREIGN,
    pb.DIFFERENCE_KIND_PERSON_LEFT,
)


@pytest.fixture
def gallery() -> Gallery:
    """Return a gallery."""
    return Gallery("one")


@pytest.fixture
async def own(database_url: str, tmp_path: Path, gallery: Gallery) -> AsyncIterator[Enrolled]:
    """Return clients of a library in front of the gallery, and of one more."""
    async with enrolled(database_url, tmp_path / "store", gallery, Gallery("other")) as own:
        yield own


async def reconciled(own: Enrolled, **fields: object) -> pb.ReconcilePeopleResponse:
    """Return what differs at the gallery."""
    request = pb.ReconcilePeopleRequest(recognizers=["one"], **fields)
    response: pb.ReconcilePeopleResponse = await own.people.ReconcilePeople(request)
    assert not response.failures
    return response


async def adopted(own: Enrolled, **fields: object) -> pb.AdoptPeopleResponse:
    response: pb.AdoptPeopleResponse = await own.people.AdoptPeople(pb.AdoptPeopleRequest(**fields))
    return response


def kinds(response: pb.ReconcilePeopleResponse) -> list[int]:
    return sorted(one.kind for one in response.differences)


async def test_differences_are_shown_and_mended(own: Enrolled, gallery: Gallery) -> None:
    """A lost face is enrolled again and another name set right; what the library did not enroll is told, and stays."""
    ((ada, bea), (again, _)) = await own.faces(2)
    first, second = await own.person("Ada", ada, again), await own.person("Bea", bea)
    await own.enroll(first)
    await own.enroll(second)
    assert kinds(await reconciled(own)) == []
    faces = gallery.people_by_id[first][1]
    del faces[min(faces)]
    faces["unknown"] = ""
    gallery.people_by_id[first] = ("Ada?", faces)
    del gallery.people_by_id[second]
    gallery.know("x1", "Eve", "e1")
    shown = await reconciled(own)
    assert kinds(shown) == [MISSING, MISSING, FOREIGN, NAME, STRANGER]
    assert not any(one.mended for one in shown.differences)
    assert shown.person_count == 3
    assert kinds(await reconciled(own, person_id=second)) == [MISSING]
    mended = await reconciled(own, mend=True)
    assert {one.kind for one in mended.differences if one.mended} == {MISSING, NAME}
    assert kinds(await reconciled(own)) == [FOREIGN, STRANGER]
    assert gallery.faces_by_name == {"Ada": 3, "Bea": 1, "Eve": 1}


async def test_who_was_deleted_is_removed(own: Enrolled, gallery: Gallery) -> None:
    """Faces that a recognizer cannot take back yet are differences, as is whom it still knows of the deleted."""
    ((ada, bea),) = await own.faces(1)
    first, second = await own.person("Ada", ada), await own.person("Bea", bea)
    await own.enroll(first)
    await own.enroll(second)
    faces = dict(gallery.people_by_id[first][1])
    await own.people.DeletePerson(pb.DeletePersonRequest(person_id=second))
    await own.people.RefuseFaces(pb.RefuseFacesRequest(person_id=first, face_ids=[ada]))
    gallery.people_by_id[first] = ("Ada", faces)
    gallery.know(second, "Bea", "b1")
    shown = await reconciled(own, mend=True)
    assert {one.kind for one in shown.differences} <= {LEFT, FOREIGN, GONE}
    assert GONE in kinds(shown)
    assert second not in gallery.people_by_id


async def test_a_recognizer_that_fails_is_told(own: Enrolled, gallery: Gallery) -> None:
    """Recognizers that cannot be compared, or do not enroll, are named with the reason; the others are compared."""
    gallery.error = GalleryBusy("Try again.")
    response = await own.people.ReconcilePeople(pb.ReconcilePeopleRequest())
    reasons = {name: status.reason_of(one) for name, one in response.failures.items()}
    assert reasons == {"one": "GALLERY_BUSY", "keras": "NOT_OFFERED"}


async def test_people_are_adopted_once(own: Enrolled, gallery: Gallery) -> None:
    """Whoever a recognizer knows becomes one person, namesakes are told and not merged; it is undone as one action."""
    gallery.know("x1", "Eve", "e1")
    gallery.know("x2", "Eve", "e2")
    mallory = await own.person("Mallory")
    gallery.know(mallory, "Mallory")
    first = await adopted(own)
    assert (first.adopted_count, first.known_count, list(first.same_names)) == (2, 1, ["Eve"])
    assert first.action_id
    assert set(first.failures) == {"keras"}
    again = await adopted(own)
    assert (again.adopted_count, again.known_count, again.action_id) == (0, 3, "")
    assert [one.kind for one in (await reconciled(own)).differences] == []
    await own.people.UndoAction(pb.UndoActionRequest(action_id=first.action_id))
    assert kinds(await reconciled(own)) == [STRANGER, STRANGER]


async def test_the_adopted_are_who_was_recognized(own: Enrolled, gallery: Gallery) -> None:
    """Somebody adopted is known by the recognizer's own identifier, and may be enrolled beside it all the same."""
    gallery.know("x1", "Eve", "e1")
    await adopted(own)
    (eve,) = (await own.people.SearchPeople(pb.SearchPeopleRequest(text="Eve"))).people
    assert [(one.recognizer, one.external_id) for one in eve.identities] == [("one", "x1")]
    ((face, _),) = await own.faces(1)
    await own.people.NameFaces(pb.NameFacesRequest(person_id=eve.person_id, face_ids=[face]))
    await own.enroll(eve.person_id)
    assert gallery.similar == [True]
    assert gallery.people_by_id.keys() == {"x1", eve.person_id}
