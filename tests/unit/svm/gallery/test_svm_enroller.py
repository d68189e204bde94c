"""Enrolling into the SVM recognizer's gallery."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from local.pictures import demo_pictures, scene
from services.runtime.errors import Misconfigured, NotOffered, PersonNotFound
from services.runtime.images.image import Image
from services.runtime.leaf.recognizer import Page
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recipes.wavelet import Wavelet
from services.svm.recognizer import SvmRecognizer
from tests.support.enrollers import ALREADY, ENROLLED, REFUSED, reasons, states
from tests.support.processes import PATIENCE
from tests.support.svm_enrollment import (
    COLLINS,
    HOPPER,
    enrollment_of,
    named,
    names,
    options,
    other_picture,
    portrait,
    replica,
    version,
    write_model,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
async def svm(model: Path, tmp_path: Path) -> AsyncIterator[tuple[SvmRecognizer, SvmEnroller]]:
    async with replica(model, tmp_path / "gallery.npz") as both:
        yield both


@pytest.fixture
def recognizer(svm: tuple[SvmRecognizer, SvmEnroller]) -> SvmRecognizer:
    return svm[0]


@pytest.fixture
def enroller(svm: tuple[SvmRecognizer, SvmEnroller]) -> SvmEnroller:
    return svm[1]


async def test_many_pictures_leave_room_for_other_calls(model: Path, tmp_path: Path) -> None:
    """A call with more pictures than the queue holds succeeds, and a concurrent call is still served."""
    async with replica(model, tmp_path / "gallery.npz", queue=1) as (recognizer, enroller):
        enrolling = asyncio.create_task(enroller.enroll(enrollment_of(*[portrait(COLLINS)] * 6)))
        await asyncio.sleep(0)
        assert await names(recognizer, other_picture(HOPPER)) == [""]
        assert states(await enrolling) == [ENROLLED] + [ALREADY] * 5


async def test_a_full_queue_delays_an_enrollment(model: Path, tmp_path: Path) -> None:
    """An enrollment that finds every place taken by other calls waits for one instead of failing as a whole."""
    async with replica(model, tmp_path / "gallery.npz", queue=0) as (recognizer, enroller):
        over = threading.Event()
        busy = asyncio.create_task(recognizer.workers.run(over.wait, PATIENCE))
        await asyncio.sleep(0)
        enrolling = asyncio.create_task(enroller.enroll(enrollment_of(*[portrait(COLLINS)] * 2)))
        await asyncio.sleep(0.05)
        assert not enrolling.done()
        over.set()
        await busy
        assert states(await enrolling) == [ENROLLED, ALREADY]


async def test_one_picture_is_enough(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """A stranger is named in other pictures as soon as the call has returned; others stay strangers."""
    before = version(recognizer)
    assert await names(recognizer, other_picture(COLLINS)) == [""]
    result = await enroller.enroll(enrollment_of(portrait(COLLINS)))
    (face,) = (await recognizer.recognize(other_picture(COLLINS), options())).faces
    assert [(one.display_name, one.enrolled) for one in face.candidates] == [(COLLINS, True)]
    assert await names(recognizer, other_picture(HOPPER)) == [""]
    assert (result.person.person_id, result.person.display_name, result.person.face_count) == ("p1", COLLINS, 1)
    assert abs(result.person.create_time.seconds - time.time()) < 60
    assert result.model.version == version(recognizer) == f"{before}+{result.model.version.partition('+')[2]}"


async def test_the_result_describes_the_face(enroller: SvmEnroller) -> None:
    """The entry has the face's box, its sharpness and its pose."""
    face = (await enroller.enroll(enrollment_of(portrait(COLLINS)))).faces[0]
    assert 0.2 < face.box.left + face.box.width / 2 < 0.6
    assert face.quality.sharpness > 0.2
    assert abs(face.quality.pose.yaw) < 40
    assert len(face.face_id) == 32


async def test_repeating_changes_nothing(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """The same picture, repeated in one call or in another, is reported but not counted."""
    first = await enroller.enroll(enrollment_of(portrait(COLLINS), portrait(COLLINS)))
    before = version(recognizer)
    second = await enroller.enroll(enrollment_of(portrait(COLLINS)))
    assert (states(first), states(second)) == ([ENROLLED, ALREADY], [ALREADY])
    assert (second.person.face_count, version(recognizer)) == (1, before)
    assert first.faces[0].face_id == second.faces[0].face_id


async def test_more_pictures_add_up(enroller: SvmEnroller) -> None:
    """Another picture of the same person is another face."""
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    result = await enroller.enroll(enrollment_of(other_picture(COLLINS)))
    assert (states(result), result.person.face_count) == ([ENROLLED], 2)


async def test_a_name_changes_and_the_id_stays(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """A call without pictures renames the person."""
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    result = await enroller.enroll(enrollment_of(name="Colonel Collins"))
    assert (result.person.display_name, result.person.face_count) == ("Colonel Collins", 1)
    assert await names(recognizer, other_picture(COLLINS)) == ["Colonel Collins"]


def blurred() -> Pillow.Image:
    return portrait(COLLINS).filter(ImageFilter.GaussianBlur(4))


def small() -> Pillow.Image:
    return portrait(COLLINS).resize((200, 200))


@pytest.mark.parametrize(
    ("bad_picture", "reason"),
    [
        (lambda: scene("coffee.png"), "NO_FACE"),
        (lambda: demo_pictures()["both.jpg"], "SEVERAL_FACES"),
        (small, "FACE_TOO_SMALL"),
        (blurred, "FACE_BLURRED"),
    ],
)
async def test_a_bad_picture_is_refused_and_the_others_count(
    enroller: SvmEnroller, bad_picture: object, reason: str
) -> None:
    """The refused picture has its reason and what to do about it; the other one is enrolled."""
    result = await enroller.enroll(enrollment_of(bad_picture(), portrait(COLLINS)))
    assert (states(result), reasons(result)[0]) == ([REFUSED, ENROLLED], reason)
    assert result.faces[0].status.message.count(".") >= 2
    assert result.faces[0].face_id == ""


async def test_only_a_damaged_picture_is_refused(enroller: SvmEnroller) -> None:
    """Bytes that are not a picture are refused; the other picture is enrolled."""
    result = await enroller.enroll(enrollment_of(Image(b"no picture"), portrait(COLLINS)))
    assert (states(result), reasons(result)[0]) == ([REFUSED, ENROLLED], "INVALID_IMAGE")


async def test_if_all_pictures_are_refused_nothing_changes(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """Refused pictures create nobody and rename nobody."""
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    before = version(recognizer)
    result = await enroller.enroll(enrollment_of(blurred(), name="Somebody else"))
    unknown = await enroller.enroll(enrollment_of(blurred(), person_id="p2"))
    assert (states(result), result.person.display_name, version(recognizer)) == ([REFUSED], COLLINS, before)
    assert not unknown.HasField("person")


async def test_a_face_belongs_to_one_person(enroller: SvmEnroller) -> None:
    """Under another person_id the refusal names the owner and what to do; allow_similar lets twins in."""
    await enroller.enroll(enrollment_of(portrait(COLLINS)))
    refused = await enroller.enroll(enrollment_of(other_picture(COLLINS), name="Twin", person_id="p2"))
    assert reasons(refused) == ["FACE_ALREADY_ENROLLED"]
    assert f"already enrolled as {COLLINS} (p1)" in refused.faces[0].status.message
    assert "allow_similar" in refused.faces[0].status.message
    allowed = await enroller.enroll(
        enrollment_of(other_picture(COLLINS), name="Twin", person_id="p2", allow_similar=True)
    )
    assert states(allowed) == [ENROLLED]


async def test_a_taken_name_is_refused(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """Somebody else's picture under a known name is refused, alone of its call, and says whose name it is."""
    await enroller.enroll(named(portrait(COLLINS)))
    result = await enroller.enroll(named(portrait(HOPPER), other_picture(COLLINS), name="eileen  COLLINS"))
    assert (states(result), reasons(result)[0]) == ([REFUSED, ENROLLED], "NAME_TAKEN")
    message = result.faces[0].status.message
    assert f"{COLLINS} (eileen-collins)" in message
    assert "person_id" in message
    assert "allow_different" in message
    assert (result.person.display_name, result.person.face_count) == (COLLINS, 2)
    assert await names(recognizer, other_picture(HOPPER)) == [""]


async def test_a_taken_name_can_be_meant(enroller: SvmEnroller) -> None:
    """A person_id or allow_different says that the picture is of that person; enrolling it again stays safe."""
    await enroller.enroll(named(portrait(COLLINS)))
    for meant in (
        named(portrait(HOPPER), allow_different=True),
        enrollment_of(other_picture(HOPPER), person_id="eileen-collins"),
    ):
        assert states(await enroller.enroll(meant)) == [ENROLLED]
    assert states(await enroller.enroll(named(portrait(HOPPER), other_picture(COLLINS)))) == [ALREADY, ENROLLED]


async def test_a_name_given_since_is_taken_too(enroller: SvmEnroller) -> None:
    """A name is taken by whoever has it, under whatever person_id; whoever looks the same is already enrolled."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), name=COLLINS, person_id="employee-17"))
    different = await enroller.enroll(named(portrait(HOPPER)))
    same = await enroller.enroll(named(other_picture(COLLINS)))
    allowed = await enroller.enroll(named(portrait(HOPPER), allow_different=True))
    assert (reasons(different), reasons(same)) == (["NAME_TAKEN"], ["FACE_ALREADY_ENROLLED"])
    assert f"{COLLINS} (employee-17)" in different.faces[0].status.message
    assert (states(allowed), allowed.person.person_id) == ([ENROLLED], "eileen-collins")


async def test_a_trained_persons_name_is_taken(enroller: SvmEnroller) -> None:
    """The faces that a model was trained on count: a stranger is not enrolled as one of its people by name."""
    result = await enroller.enroll(named(portrait(COLLINS), name="Ada"))
    assert reasons(result) == ["NAME_TAKEN"]


async def test_a_new_person_may_look_different(enroller: SvmEnroller) -> None:
    """The pictures of somebody new are compared with none before them: one that is unlike the others gets a warning."""
    result = await enroller.enroll(named(portrait(COLLINS), portrait(HOPPER)))
    assert (states(result), [len(face.warnings) for face in result.faces]) == ([ENROLLED, ENROLLED], [0, 1])


async def test_the_first_spelling_stays(enroller: SvmEnroller) -> None:
    """A name that only makes a known person's id does not rename them, with a picture or without."""
    await enroller.enroll(named(portrait(COLLINS)))
    with_picture = await enroller.enroll(named(other_picture(COLLINS), name="EILEEN COLLINS"))
    without = await enroller.enroll(named(name="eileen collins"))
    assert (with_picture.person.display_name, without.person.display_name) == (COLLINS, COLLINS)
    renamed = await enroller.enroll(enrollment_of(person_id="eileen-collins", name="EILEEN COLLINS"))
    assert renamed.person.display_name == "EILEEN COLLINS"


async def test_a_dissimilar_face_gets_a_warning(enroller: SvmEnroller) -> None:
    """A face unlike the person's others is enrolled, since people change, with a warning in its entry."""
    result = await enroller.enroll(enrollment_of(portrait(COLLINS), portrait(HOPPER)))
    assert states(result) == [ENROLLED, ENROLLED]
    assert [list(face.warnings) for face in result.faces] == [
        [],
        ["This face looks unlike the person's others. Does it show them?"],
    ]


async def test_a_removed_person_is_a_stranger_again(recognizer: SvmRecognizer, enroller: SvmEnroller) -> None:
    """Removing deletes all of the person's faces; a second removal is a no-op."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), other_picture(COLLINS)))
    first, second = await enroller.remove("p1", ""), await enroller.remove("p1", "")
    assert (first.removed_faces, second.removed_faces, list(first.warnings)) == (2, 0, [])
    assert await names(recognizer, other_picture(COLLINS)) == [""]
    assert "+" not in version(recognizer)


async def test_trained_people_stay_known(enroller: SvmEnroller) -> None:
    """Trained people can be renamed and given faces; removing undoes that and says that they stay known."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), name="Countess Ada", person_id="ada"))
    people, _ = await enroller.people(Page(10, "", ""))
    removed = await enroller.remove("ada", "")
    after, _ = await enroller.people(Page(10, "", ""))
    assert [(one.display_name, one.trained, one.face_count) for one in people] == [
        ("Countess Ada", True, 1),
        ("Bea", True, 0),
    ]
    assert (removed.removed_faces, "stays known" in removed.warnings[0]) == (1, True)
    assert [one.display_name for one in after] == ["Ada", "Bea"]


async def test_people_are_listed_by_page(enroller: SvmEnroller) -> None:
    """People are sorted by person_id; the token gives the next page."""
    await enroller.enroll(enrollment_of(portrait(COLLINS), person_id="abe"))
    first, token = await enroller.people(Page(2, "", ""))
    rest, end = await enroller.people(Page(2, token, ""))
    assert ([one.person_id for one in first], [one.person_id for one in rest], end) == (["abe", "ada"], ["bea"], "")


async def test_a_new_person_needs_a_name_and_pictures(enroller: SvmEnroller) -> None:
    """A name alone or pictures alone raise PersonNotFound."""
    for wrong in (enrollment_of(name="Nobody"), enrollment_of(portrait(COLLINS), name="")):
        with pytest.raises(PersonNotFound, match=r"p1\. Send pictures and a display_name"):
            await enroller.enroll(wrong)


async def test_collections_are_not_offered(enroller: SvmEnroller) -> None:
    """A call with a collection raises NotOffered."""
    with pytest.raises(NotOffered, match="no collections"):
        await enroller.enroll(enrollment_of(portrait(COLLINS), collection="staff"))


async def test_without_a_gallery_nobody_is_enrolled(model: Path) -> None:
    """The message names the setting, and ListRecognizers shows can_enroll as false."""
    async with replica(model) as (recognizer, enroller):
        assert not recognizer.describe().can_enroll
        with pytest.raises(NotOffered, match="MARQUEE_SVM_GALLERY"):
            await enroller.enroll(enrollment_of(portrait(COLLINS)))


async def test_other_recipes_have_no_gallery(tmp_path: Path) -> None:
    """A gallery stops the start, since their features say nothing about people outside the training data."""
    model = write_model(tmp_path, "wavelet", Wavelet.length)
    with pytest.raises(Misconfigured, match=r"wavelet.*MARQUEE_SVM_GALLERY"):
        async with replica(model, tmp_path / "gallery.npz"):
            pass


async def test_a_damaged_gallery_stops_the_start(model: Path, tmp_path: Path) -> None:
    """The error names the file; starting with an empty gallery would lose everybody."""
    (tmp_path / "gallery.npz").write_bytes(b"half")
    with pytest.raises(Misconfigured, match=r"gallery\.npz: it is not a gallery.*MARQUEE_SVM_GALLERY"):
        async with replica(model, tmp_path / "gallery.npz"):
            pass
