"""Matching: which faces that were found again are which of those that were known. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from marquee.v1 import recognizer_pb2 as pb
from services.runtime.boxes import Corners

SAME_FACE = 0.5
"""Least IoU of a face that is found again."""


class Known(NamedTuple):
    """A face that was found before."""

    face_id: UUID
    current: bool
    verdict: pb.Verdict


def match(known: Sequence[Known], verdicts: Sequence[pb.Verdict], least: float = SAME_FACE) -> dict[int, UUID]:
    """Return which of the verdicts are of known faces: position to face_id, each face once, best IoU first.

    Verdicts without a box are told apart by whom they name. Of faces that fit equally, a current one goes first.
    """
    found: dict[int, UUID] = {}
    taken: set[UUID] = set()
    for _, position, one in sorted(
        _fits(known, verdicts, least), key=lambda fit: (-fit[0], not fit[2].current, fit[1])
    ):
        if position not in found and one.face_id not in taken:
            found[position] = one.face_id
            taken.add(one.face_id)
    return found


def _fits(known: Sequence[Known], verdicts: Sequence[pb.Verdict], least: float) -> Iterable[tuple[float, int, Known]]:
    corners = [Corners.of(one.verdict.box) for one in known]
    for position, verdict in enumerate(verdicts):
        box = Corners.of(verdict.box)
        for one, other in zip(known, corners, strict=True):
            if verdict.HasField("box") and one.verdict.HasField("box"):
                fit = box.iou(other)
            else:
                fit = float(_unboxed(verdict) == _unboxed(one.verdict))
            if fit >= least:
                yield fit, position, one


def _unboxed(verdict: pb.Verdict) -> tuple[bool, int, str]:
    return verdict.HasField("box"), verdict.state, verdict.person_id or verdict.display_name
