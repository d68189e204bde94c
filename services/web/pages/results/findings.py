"""What a recognizer finds, each with its score, as the page shows it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from marquee.v1 import recognizer_pb2 as pb
from services.runtime import boxes
from services.web.pages.words import clean, percent, share

Place: TypeAlias = tuple[float, float, float, float]
"""Left, top, width and height, in fractions of the upright picture."""
_DIGITS = 5


@dataclass(frozen=True)
class Finding:
    """A person, a label, a text or the like."""

    name: str
    score: float
    """0 to 1."""
    face_id: str = ""
    """Of the face on the picture that it is about."""
    places: Sequence[Place] = ()
    """Where it is, if that is known."""
    note: str = ""
    """What is to be known besides."""
    is_sure: bool = True
    """Whether the score is enough to name somebody."""
    links: Sequence[tuple[str, str]] = ()
    """Host and address of each page about it."""

    @property
    def percent(self) -> str:
        """The score, as people read it."""
        return percent(self.score)


def place(box: pb.BoundingBox) -> Place:
    """Return the part of the box that is in the picture; numbers that are none count as 0."""
    left, top = share(box.left), share(box.top)
    width, height = min(share(box.width), 1 - left), min(share(box.height), 1 - top)
    return round(left, _DIGITS), round(top, _DIGITS), round(width, _DIGITS), round(height, _DIGITS)


def label(found: pb.Label) -> Finding:
    """Return a label, with what it is a kind of, and where it is."""
    places = [place(one.box) for one in found.instances if boxes.is_inside(one.box)]
    return Finding(
        clean(found.name), share(found.score), places=places, note=", ".join(clean(one) for one in found.parents)
    )


def text(found: pb.Text) -> Finding:
    """Return a text in the picture."""
    places = [place(found.box)] if boxes.is_inside(found.box) else []
    return Finding(clean(found.content), share(found.score), places=places)


def moderation(found: pb.ModerationLabel) -> Finding:
    """Return a label of sensitive content, with what it is a kind of."""
    return Finding(clean(found.name), share(found.score), note=clean(found.parent))


def person(candidate: pb.Candidate, model: pb.Model, face_id: str = "") -> Finding:
    """Return a person whom the model proposes."""
    name = clean(candidate.display_name) or clean(candidate.person_id)
    links = [link for url in candidate.urls if (link := _link(url))]
    return Finding(name, share(candidate.score), face_id, is_sure=is_sure(candidate, model), links=links)


def is_sure(candidate: pb.Candidate, model: pb.Model) -> bool:
    """Return whether the score is enough for the model to name the person."""
    return candidate.score >= model.identify_score


def best(candidates: Iterable[pb.Candidate]) -> pb.Candidate | None:
    """Return the candidate with the best score, if any."""
    return max(candidates, key=lambda candidate: candidate.score, default=None)


def _link(url: str) -> tuple[str, str] | None:
    """Return host and address of a page, if a visitor may be sent there."""
    address = url.strip() if "://" in url else f"https://{url.strip()}"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    is_fit = parts.scheme in {"http", "https"} and "." in host and "@" not in parts.netloc and " " not in address
    return (host, address) if is_fit and address.isprintable() else None
