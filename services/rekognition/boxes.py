"""Boxes of the upright picture. Pure."""

from marquee.v1 import recognizer_pb2 as pb


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
