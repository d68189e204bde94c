"""Names that are taken: who is meant by a call that gives a Rekognition collection no person_id."""

from types import SimpleNamespace

import pytest

from services.rekognition.enrollment.enroller import RekognitionEnroller
from tests.support.enrollers import ENROLLED, REFUSED, code_and_reason, reasons, states
from tests.support.rekognition import COLLINS, DEMO, HOPPER, PORTRAITS, PRICE, enrollment_of, named

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("similar", [False, True])
async def test_a_taken_name_is_refused(enroller: RekognitionEnroller, *, similar: bool) -> None:
    """A face unlike those of the known person of that name is refused before it is paid for; matching ones add."""
    await enroller.enroll(named(PORTRAITS[HOPPER]))
    refused = await enroller.enroll(named(PORTRAITS[COLLINS], DEMO["hopper"], similar=similar))
    assert (reasons(refused), states(refused)) == (["NAME_TAKEN", ""], [REFUSED, ENROLLED])
    assert refused.cost_micro_usd == PRICE - 1000 + PRICE
    status = refused.faces[0].status
    assert code_and_reason(status) == ("ALREADY_EXISTS", "NAME_TAKEN")
    assert f"{HOPPER} (grace-hopper)" in status.message
    assert refused.person.face_count == 2


async def test_the_caller_may_know_better(enroller: RekognitionEnroller) -> None:
    """With the person_id, or allow_different, a face unlike the others is enrolled."""
    await enroller.enroll(named(PORTRAITS[HOPPER]))
    assert states(await enroller.enroll(named(PORTRAITS[COLLINS], different=True))) == [ENROLLED]
    assert states(await enroller.enroll(enrollment_of(DEMO["collins"]))) == [ENROLLED]


async def test_a_person_with_an_own_id_has_the_name(enroller: RekognitionEnroller) -> None:
    """The name is taken under whatever id its owner was enrolled; not any more once they are renamed or removed."""
    await enroller.enroll(enrollment_of(PORTRAITS[HOPPER], person_id="g-1", name="GRACE  Hopper"))
    taken = await enroller.enroll(named(PORTRAITS[COLLINS]))
    same = await enroller.enroll(named(DEMO["hopper"]))
    assert (reasons(taken), reasons(same)) == (["NAME_TAKEN"], ["FACE_ALREADY_ENROLLED"])
    assert "(g-1)" in taken.faces[0].status.message
    await enroller.enroll(enrollment_of(person_id="g-1", name="Admiral"))
    assert states(await enroller.enroll(named(PORTRAITS[COLLINS]))) == [ENROLLED]
    await enroller.remove("grace-hopper", "")
    await enroller.enroll(enrollment_of(person_id="g-1", name=HOPPER))
    await enroller.remove("g-1", "")
    assert states(await enroller.enroll(named(PORTRAITS[COLLINS]))) == [ENROLLED]


async def test_a_person_without_a_face_takes_any(
    enroller: RekognitionEnroller, rekognition: SimpleNamespace, collection: str
) -> None:
    """Nothing can differ from faces that somebody has deleted from the collection."""
    face = (await enroller.enroll(named(PORTRAITS[HOPPER]))).faces[0].face_id
    rekognition.client.delete_faces(CollectionId=collection, FaceIds=[face])
    assert states(await enroller.enroll(named(PORTRAITS[COLLINS]))) == [ENROLLED]


async def test_the_first_spelling_stays(enroller: RekognitionEnroller) -> None:
    """Another spelling of a known name renames only with the person_id."""
    await enroller.enroll(named(PORTRAITS[HOPPER]))
    assert (await enroller.enroll(named(DEMO["hopper"], name="grace hopper"))).person.display_name == HOPPER
    assert (await enroller.enroll(enrollment_of(name="grace hopper"))).person.display_name == "grace hopper"
