"""Boxes of the upright picture, and faces that several operations saw. Pure."""

from collections.abc import Iterable, Sequence

from marquee.v1 import recognizer_pb2 as pb

_SAME = 0.5


def overlap(one: pb.BoundingBox, other: pb.BoundingBox) -> float:
    """What both cover as a share of what either covers: 0 to 1."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(0.0, width) * max(0.0, height)
    either = area(one) + area(other) - both
    return both / either if either > 0 else 0.0


def area(box: pb.BoundingBox) -> float:
    """Its share of the picture."""
    return box.width * box.height


def unite(seen: Iterable[Iterable[pb.Face]]) -> list[pb.Face]:
    """Each face once: what one operation saw at the place of a face that another saw is added to it."""
    known: list[pb.Face] = []
    for faces in seen:
        others = list(known)
        for face in faces:
            same = _same(face, others)
            if same is None:
                known.append(face)
            else:
                others.remove(same)
                _add(same, face)
    return known


def _same(face: pb.Face, others: Sequence[pb.Face]) -> pb.Face | None:
    shares = [overlap(face.box, other.box) for other in others]
    best = max(shares, default=0.0)
    return others[shares.index(best)] if best >= _SAME else None


def _add(face: pb.Face, more: pb.Face) -> None:
    face.candidates.extend(more.candidates)
    face.detection_score = max(face.detection_score, more.detection_score)
    if not face.quality.ByteSize():
        face.quality.CopyFrom(more.quality)
    if len(more.landmarks) > len(face.landmarks):
        del face.landmarks[:]
        face.landmarks.extend(more.landmarks)
    known = {attribute.name for attribute in face.attributes}
    face.attributes.extend(attribute for attribute in more.attributes if attribute.name not in known)
