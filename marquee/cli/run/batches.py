"""A person's pictures in as many calls as it takes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from marquee.cli.inputs import load
from marquee.enrollment import Enrollment
from marquee.errors import InvalidImage, MarqueeError
from marquee.sources import MAX_IMAGE_BYTES, Source

MOST_PICTURES = 8
"""The contract allows 32, which a busy machine does not look at within a call's usual time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of a person's pictures, and what became of them."""

    pictures: Sequence[str]
    answer: Enrollment | MarqueeError | OSError
    """An OSError or InvalidImage of a single picture: it was not sent."""


def enroll_all(pictures: Sequence[str], enroll: Callable[[Sequence[Source]], Enrollment]) -> Iterator[Batch]:
    """Enrolls the pictures, at most so many and 15 MiB a call; one that cannot be read fails alone."""
    if not pictures:
        yield _attempt([], [], enroll)
    names: list[str] = []
    sources: list[Source] = []
    for picture in pictures:
        try:
            source = load(picture)
        except (OSError, InvalidImage) as error:
            yield Batch([picture], error)
            continue
        if len(names) == MOST_PICTURES or _bytes([*sources, source]) > MAX_IMAGE_BYTES:
            yield _attempt(names, sources, enroll)
            names, sources = [], []
        names.append(picture)
        sources.append(source)
    if names:
        yield _attempt(names, sources, enroll)


def _attempt(
    names: Sequence[str], sources: Sequence[Source], enroll: Callable[[Sequence[Source]], Enrollment]
) -> Batch:
    try:
        return Batch(names, enroll(sources))
    except (MarqueeError, OSError) as error:
        return Batch(names, error)


def _bytes(sources: Sequence[Source]) -> int:
    """Of those that are sent; S3 objects are not."""
    return sum(len(source) for source in sources if isinstance(source, bytes))
