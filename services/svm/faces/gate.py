"""The gate: which faces a picture carries well enough to enroll or to name them."""

from collections import defaultdict
from collections.abc import Sequence

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.errors import FaceBlurred, FaceTooSmall, FaceTurned, NoFace, UnfitFace
from services.runtime.images.faces import Face

MIN_SIDE = 48
"""Pixels. The embedding of a smaller face moves by more than 0.3, half of what separates people."""
MIN_SHARPNESS = 0.15
"""Blurred or noisy below this, it moves as much (bench/svm_portraits.py); 110 faces of photos have 0.22 and more."""
MAX_TURN = 50
"""Degrees sideways or up, measured to about ten. Those faces turn by up to 47, and are near to others of the person."""
_KINDS = {NoFace: "not seen", FaceTooSmall: "too small", FaceBlurred: "blurred or noisy", FaceTurned: "turned"}
_MAX_LISTED = 5


def check_face(face: Face, measures: pb.FaceQuality, name: str = "The face") -> None:
    """Raise UnfitFace unless the picture carries the face's name. The message begins with `name`."""
    side = face.framed("haar").width
    if face.detector == "yunet" and not face.points:
        raise NoFace(f"{name} is not seen in its box. Draw the box around the face alone.")
    if side < MIN_SIDE:
        raise FaceTooSmall(
            f"{name} is {side} pixels wide; the minimum is {MIN_SIDE}. Use a larger picture or come closer."
        )
    if measures.sharpness < MIN_SHARPNESS:
        raise FaceBlurred(
            f"{name} is blurred or noisy: its sharpness is {measures.sharpness:.2f}; the minimum is {MIN_SHARPNESS}. "
            "Use a picture in focus and in good light."
        )
    aside, up = measures.pose.yaw, measures.pose.pitch
    if max(abs(aside), abs(up)) > MAX_TURN:
        raise FaceTurned(
            f"{name} is turned {aside:.0f} degrees sideways and {up:.0f} up; the maximum is {MAX_TURN}. "
            "Use a picture in which the person looks into the camera."
        )


def fit_faces(
    faces: Sequence[Face], measures: Sequence[pb.FaceQuality], *, are_given: bool
) -> tuple[list[int], list[str]]:
    """Return the places of the faces that may be named, and a warning for each reason why others may not.

    Faces are sorted from left to right, or as they were given.
    """
    fit, unfit = [], defaultdict(list)
    for place, (face, measured) in enumerate(zip(faces, measures, strict=True)):
        try:
            check_face(face, measured, _name(place, len(faces), are_given=are_given))
            fit.append(place)
        except UnfitFace as error:
            unfit[type(error)].append((place, error))
    return fit, [_warning(group) for group in unfit.values()]


def _name(place: int, count: int, *, are_given: bool) -> str:
    if count == 1:
        return "the face"
    return f"the {_ordinal(place)} {'given face' if are_given else 'face from the left'}"


def _warning(unfit: Sequence[tuple[int, UnfitFace]]) -> str:
    (_, error), *others = unfit
    also = f" Also {_KINDS[type(error)]}: {_list([place for place, _ in others])}." if others else ""
    return f"Not named: {error.message}{also}"


def _list(places: Sequence[int]) -> str:
    """[2, 4] → "the 3rd, the 5th"; most of many are only counted."""
    words = [f"the {_ordinal(place)}" for place in places[:_MAX_LISTED]]
    if more := len(places) - len(words):
        words.append(f"{more} more")
    return ", ".join(words)


def _ordinal(place: int) -> str:
    number = place + 1
    is_teen = number // 10 % 10 == 1
    return f"{number}{'th' if is_teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
