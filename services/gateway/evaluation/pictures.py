"""Pictures of which it is known whom they show: DIR/PERSON/…, and strangers in DIR/unknown/…."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.runtime.images.folder import LeftOut, labelled_pictures
from services.runtime.people import person_id_of

STRANGERS = "unknown"


class StudyError(Exception):
    """The study cannot be made; the text says what to change."""


@dataclass(frozen=True)
class Picture:
    """A picture of one person."""

    path: Path
    name: str
    """The path below the folder."""
    person: str
    """Whom it shows, as person_id_of names them; empty for a stranger."""
    group: str
    """The moment that it was taken in: near-duplicates share it and count once."""


def read_pictures(folder: Path, groups: Path | None = None) -> tuple[list[Picture], list[LeftOut]]:
    """Return the pictures, and what else lies there.

    Equal files are one group, as are all of DIR/PERSON/GROUP/. `groups` is a file of lines PATH, tab, GROUP, which
    holds for the pictures that it names. A file under two people is left out. Raises StudyError, OSError.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder} is not a folder.")
    found, left_out = labelled_pictures(folder)
    named = _named_groups(groups) if groups else {}
    pictures, people = [], defaultdict(set)
    for label, paths in found.items():
        person = "" if label.casefold() == STRANGERS else _person(label)
        for path in paths:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            people[digest].add(person)
            name = path.relative_to(folder)
            pictures.append((Picture(path, str(name), person, named.get(str(name)) or _group(name, digest)), digest))
    left_out += [
        LeftOut(Path(one.name), "the same picture is under another name")
        for one, sha in pictures
        if len(people[sha]) > 1
    ]
    return _check([one for one, digest in pictures if len(people[digest]) == 1], folder), left_out


def weights_of(groups: Sequence[str]) -> list[float]:
    """Return what each picture counts: those of one group count as one together."""
    sizes = Counter(groups)
    return [1 / sizes[group] for group in groups]


def _person(label: str) -> str:
    person = person_id_of(label)
    if not person:
        raise StudyError(f"The folder name {label!r} has no letter or digit to name a person with.")
    return person


def _group(name: Path, digest: str) -> str:
    return str(name.parent) if len(name.parts) > 2 else digest  # noqa: PLR2004 - PERSON/GROUP/FILE


def _named_groups(path: Path) -> Mapping[str, str]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    for number, row in enumerate(rows, 1):
        if len(row) != 2:  # noqa: PLR2004 - as the message says
            raise StudyError(f"{path}:{number}: a line is PATH, a tab, GROUP.")
    return {name: f"{path.name}:{group}" for name, group in rows}


def _check(pictures: list[Picture], folder: Path) -> list[Picture]:
    if not any(one.person for one in pictures):
        raise StudyError(f"{folder} has no pictures of known people. Put each person's into a folder: {folder}/NAME/.")
    return pictures
