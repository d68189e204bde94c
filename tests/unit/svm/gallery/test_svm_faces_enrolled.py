"""Single faces of the SVM recognizer's gallery: where they come from, and how one is taken back."""

import hashlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marquee.v1 import enrollment_pb2 as pb
from marquee.v1 import recognizer_pb2
from services.runtime.errors import InvalidRequest, NotOffered
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import FaceRemoval, Page
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from tests.support.svm_enrollment import (
    COLLINS,
    HOPPER,
    enrollment_of,
    names,
    other_picture,
    picture,
    portrait,
    replica,
    version,
    write_model,
)

pytestmark = pytest.mark.slow

ALL = Page(100, "", "")
FIRST_GALLERY = Path(__file__).with_name("gallery-1.npz")
"""Eileen Collins with two faces, Grace Hopper with one, and Ada renamed, as the first format holds them."""
GRACES_FACE = "9aaa25c1001de86dcecd264c6d016842"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return tmp_path / "gallery.npz"


@pytest.fixture
async def svm(model: Path, gallery: Path) -> AsyncIterator[tuple[SvmRecognizer, SvmEnroller]]:
    async with replica(model, gallery) as both:
        yield both


@pytest.fixture
def recognizer(svm: tuple[SvmRecognizer, SvmEnroller]) -> SvmRecognizer:
    return svm[0]


@pytest.fixture
def enroller(svm: tuple[SvmRecognizer, SvmEnroller]) -> SvmEnroller:
    return svm[1]


def by_id(face_id: str) -> pb.FaceKey:
    return pb.FaceKey(face=pb.FaceId(face_id=face_id))


def by_picture(image: Image) -> pb.FaceKey:
    return pb.FaceKey(content_sha256=hashlib.sha256(image.content).hexdigest())


def removal(*keys: pb.FaceKey, person_id: str = "", collection: str = "") -> FaceRemoval:
    return FaceRemoval(keys, person_id, collection)


def counts(result: pb.FaceRemovalResult) -> list[int]:
    return [entry.removed_faces for entry in result.faces]


def content(gallery: Path) -> bytes:
    return gallery.read_bytes()


async def ids(enroller: SvmEnroller, person_id: str = "p1") -> list[str]:
    """Return the ids of the person's faces."""
    listed, _ = await enroller.faces(person_id, ALL)
    return [face.face_id for face in listed.faces]


async def known(enroller: SvmEnroller) -> dict[str, int]:
    """Return the numbers of enrolled faces of all who are listed."""
    people, _ = await enroller.people(ALL)
    return {person.person_id: person.face_count for person in people}


async def test_a_face_tells_where_it_comes_from(enroller: SvmEnroller) -> None:
    """Faces are listed in the order of enrollment, each with its picture's digest and source, and the time."""
    stored, given = picture(portrait(COLLINS)), other_picture(COLLINS)
    source = recognizer_pb2.S3Object(bucket="photos", key="a/\u202fb\x07.jpg", version_id="7")
    from_s3 = Image(None, source, lambda _: stored.content)
    enrolled = await enroller.enroll(enrollment_of(given, from_s3))
    listed, token = await enroller.faces("p1", ALL)
    assert [face.face_id for face in listed.faces] == [face.face_id for face in enrolled.faces]
    assert [face.content_sha256 for face in listed.faces] == [
        hashlib.sha256(one.content).hexdigest() for one in (given, stored)
    ]
    assert [face.HasField("s3_object") for face in listed.faces] == [False, True]
    assert listed.faces[1].s3_object == source
    assert all(abs(face.create_time.seconds - time.time()) < 60 for face in listed.faces)
    assert (listed.person.display_name, listed.person.face_count, token) == (COLLINS, 2, "")


async def test_faces_are_listed_by_page(enroller: SvmEnroller) -> None:
    """The token leads to the next page, unless its face was removed; unknown people are absent, trained ones empty."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), other_picture(COLLINS)))
    first, token = await enroller.faces("p1", Page(1, "", ""))
    second, end = await enroller.faces("p1", Page(1, token, ""))
    assert [face.face_id for page in (first, second) for face in page.faces] == await ids(enroller)
    assert (bool(token), end) == (True, "")
    await enroller.remove_faces(removal(by_id(token)))
    for wrong in (token, "../ada"):
        with pytest.raises(InvalidRequest):
            await enroller.faces("p1", Page(1, wrong, ""))
    assert (await enroller.faces("nobody", ALL))[0] == pb.FacesResult()
    trained, _ = await enroller.faces("ada", ALL)
    assert (trained.person.trained, len(trained.faces)) == (True, 0)


@pytest.mark.parametrize("with_id", [True, False])
async def test_one_face_is_taken_back(recognizer: SvmRecognizer, enroller: SvmEnroller, *, with_id: bool) -> None:
    """A face is removed by its id or its picture, and no other; a removal is safe to repeat."""
    wrong, right = picture(portrait(HOPPER)), picture(portrait(COLLINS))
    enrolled = await enroller.enroll(enrollment_of(wrong, right))
    key = by_id(enrolled.faces[0].face_id) if with_id else by_picture(wrong)
    first = await enroller.remove_faces(removal(key, key))
    before = version(recognizer)
    second = await enroller.remove_faces(removal(key))
    assert (counts(first), counts(second), list(first.warnings)) == ([1, 0], [0], [])
    assert [entry.key for entry in first.faces] == [key, key]
    assert await ids(enroller) == [enrolled.faces[1].face_id]
    assert await names(recognizer, other_picture(HOPPER)) == [""]
    assert await names(recognizer, other_picture(COLLINS)) == [COLLINS]
    assert version(recognizer) == before


async def test_a_person_limits_the_removal(enroller: SvmEnroller) -> None:
    """A picture that was enrolled for two people is removed from the one that the call names, else from both."""
    image = picture(portrait(COLLINS))
    for person_id in ("p1", "p2"):
        await enroller.enroll(enrollment_of(image, other_picture(COLLINS), person_id=person_id, allow_similar=True))
    named = await enroller.remove_faces(removal(by_picture(image), person_id="p2"))
    assert (counts(named), len(await ids(enroller, "p1")), len(await ids(enroller, "p2"))) == ([1], 2, 1)
    both = await enroller.remove_faces(removal(by_picture(other_picture(COLLINS))))
    assert (counts(both), await known(enroller)) == ([2], {"ada": 0, "bea": 0, "p1": 1})


async def test_the_last_face_takes_the_person_along(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """Whoever has no face left is no longer known, and a warning says so."""
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    removed = await enroller.remove_faces(removal(*map(by_id, await ids(enroller))))
    assert list(removed.warnings) == ["p1 has no face left and is no longer known."]
    assert (await known(enroller), "+" in version(recognizer)) == ({"ada": 0, "bea": 0}, False)


async def test_what_was_trained_stays(enroller: SvmEnroller) -> None:
    """A trained person stays known without enrolled faces, under the name given since; warnings say so."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), name="Countess Ada", person_id="ada"))
    last = await enroller.remove_faces(removal(*map(by_id, await ids(enroller, "ada"))))
    unknown = await enroller.remove_faces(removal(by_picture(picture(portrait(COLLINS))), person_id="ada"))
    people, _ = await enroller.people(ALL)
    assert (counts(last), counts(unknown)) == ([1], [0])
    assert ["stays known" in warning for warning in last.warnings] == [True]
    assert list(unknown.warnings) == ["Faces that the model was trained on stay. Train without ada's."]
    assert [(one.display_name, one.face_count) for one in people] == [("Countess Ada", 0), ("Bea", 0)]


async def test_faces_are_the_gallerys(model: Path, enroller: SvmEnroller) -> None:
    """Without a gallery, or with a collection, faces are neither removed nor listed."""
    async with replica(model) as (_, without):
        for calls in (
            (without.remove_faces(removal(by_id("f"))), without.faces("p1", ALL)),
            (enroller.remove_faces(removal(by_id("f"), collection="staff")), enroller.faces("p1", Page(1, "", "c"))),
        ):
            for call in calls:
                with pytest.raises(NotOffered):
                    await call


async def test_an_earlier_gallery_names_the_same_people(model: Path, gallery: Path) -> None:
    """A gallery of the first format is read as it is; its faces can be removed, and the change has its own format."""
    shutil.copy(FIRST_GALLERY, gallery)
    async with replica(model, gallery) as (recognizer, enroller):
        assert [await names(recognizer, other_picture(one)) for one in (COLLINS, HOPPER)] == [[COLLINS], [HOPPER]]
        assert await known(enroller) == {"ada": 0, "bea": 0, "eileen-collins": 2, "grace-hopper": 1}
        listed, _ = await enroller.faces("grace-hopper", ALL)
        assert list(listed.faces) == [pb.PersonFace(face_id=GRACES_FACE)]
        assert b"marquee-gallery/1" in content(gallery)
        digest = pb.FaceKey(content_sha256=f"{GRACES_FACE}{'0' * 32}")
        assert counts(await enroller.remove_faces(removal(digest))) == [1]
        assert [await names(recognizer, other_picture(one)) for one in (COLLINS, HOPPER)] == [[COLLINS], [""]]
    assert b"marquee-gallery/2" in content(gallery)
