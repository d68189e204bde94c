"""What every enroller refuses alike, in the same words."""

from collections.abc import Sequence

from marquee.v1 import enrollment_pb2 as pb
from services.runtime import status
from services.runtime.errors import DomainError, FaceAlreadyEnrolled, NoFace, PersonNotFound, SeveralFaces


def check_one_face(faces: Sequence[object]) -> None:
    """Raises NoFace, SeveralFaces."""
    if not faces:
        raise NoFace("There is no face in the picture. Take one in which the person looks into the camera.")
    if len(faces) > 1:
        raise SeveralFaces(f"There are {len(faces)} faces in the picture. Cut out the one of the person.")


def already_enrolled(person_id: str, display_name: str) -> FaceAlreadyEnrolled:
    """The face is taken for this person's, who is another than the one that is enrolled."""
    return FaceAlreadyEnrolled(
        f"This face is already enrolled as {display_name} ({person_id}). Enroll it under that person_id, remove that "
        "person first, or, where they are two people, set allow_similar.",
        person_id=person_id,
        display_name=display_name,
    )


def nobody_known(person_id: str) -> PersonNotFound:
    """Somebody new, of whom pictures or name are missing."""
    return PersonNotFound(
        f"Nobody here has the person_id {person_id}. Send pictures and a display_name to enroll somebody new."
    )


def refused(why: DomainError) -> pb.EnrolledFace:
    """The entry of a picture that does not count."""
    return pb.EnrolledFace(state=pb.ENROLLMENT_STATE_REFUSED, status=status.from_exception(why))
