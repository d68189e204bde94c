"""Files and folders on the command line: pictures to recognize, and people to enroll."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from marquee.sources import MAX_IMAGE_BYTES, Source, check_size, is_s3, read_file

STDIN = "-"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_MAX_LISTED_FILES = 3


def check_files(files: Sequence[str]) -> None:
    """Check that the files exist, before any call. Raises BadParameter."""
    if files.count(STDIN) > 1:
        raise typer.BadParameter("- can be read only once.", param_hint="FILE")
    for file in files:
        if file == STDIN or is_s3(file):
            continue
        if not Path(file).exists() or Path(file).is_dir():
            raise typer.BadParameter(f"{file} is not a file.", param_hint="FILE")


def load(file: str) -> Source:
    """Return a FILE's bytes, or the URL of an S3 object as it is. Raises InvalidImage, OSError."""
    if file == STDIN:
        return check_size(sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1), "standard input")
    return file if is_s3(file) else read_file(file)


@dataclass(frozen=True, slots=True)
class Enrollee:
    """A person to enroll, and their pictures."""

    display_name: str
    person_id: str
    pictures: Sequence[str]
    """FILEs."""
    skipped_files: str = ""
    """Note about files beside the pictures; empty if there are none."""


def enrollees_of(sources: Sequence[str], name: str, person_id: str) -> list[Enrollee]:
    """Return one person for all files, or one for each folder. Raises BadParameter."""
    folders = [source for source in sources if Path(source).is_dir()]
    if not folders:
        return [_from_files(sources, name, person_id)]
    if len(folders) < len(sources):
        raise typer.BadParameter(
            "give either pictures of one person, or folders of one person each.", param_hint="SOURCE"
        )
    if len(folders) > 1 and (name or person_id):
        raise typer.BadParameter(f"these are for one person, not {len(folders)}.", param_hint="--name, --person-id")
    enrollees = [_from_folder(folder, name, person_id) for folder in folders]
    _check_unique_names(enrollees, folders)
    return enrollees


def _from_files(files: Sequence[str], name: str, person_id: str) -> Enrollee:
    check_files(files)
    if not files and not (name and person_id):
        raise typer.BadParameter(
            "give pictures, or folders of them. They are optional only with both --name and --person-id.",
            param_hint="SOURCE",
        )
    if not (name or person_id):
        raise typer.BadParameter("say who is in the pictures.", param_hint="--name, --person-id")
    return Enrollee(name, person_id, files)


def _from_folder(folder: str, name: str, person_id: str) -> Enrollee:
    path = Path(folder)
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise typer.BadParameter(f"{folder}: {error.strerror}.", param_hint="SOURCE") from None
    pictures = [entry for entry in entries if entry.suffix.lower() in _SUFFIXES and not entry.is_dir()]
    if not pictures:
        raise typer.BadParameter(_no_pictures(folder, entries), param_hint="SOURCE")
    display_name = name or ("" if person_id else " ".join(path.resolve().name.replace("_", " ").split()))
    others = [entry.name for entry in entries if entry not in pictures]
    return Enrollee(display_name, person_id, [str(picture) for picture in pictures], _skipped_files(folder, others))


def _no_pictures(folder: str, entries: Sequence[Path]) -> str:
    if any(entry.is_dir() for entry in entries):
        return f"{folder} has folders but no pictures: to enroll one person per folder, use {folder.rstrip('/')}/*/"
    return f"{folder} has no pictures: none of its files ends in {', '.join(_SUFFIXES)}."


def _skipped_files(folder: str, files: Sequence[str]) -> str:
    if not files:
        return ""
    more = f" and {len(files) - _MAX_LISTED_FILES} more" if len(files) > _MAX_LISTED_FILES else ""
    names = ", ".join(files[:_MAX_LISTED_FILES]) + more
    return f"{folder}: skipped files that do not end in {', '.join(_SUFFIXES)}: {names}"


def _check_unique_names(enrollees: Sequence[Enrollee], folders: Sequence[str]) -> None:
    """Refuse folders of the same name, which would become one person."""
    names = [enrollee.display_name.casefold() for enrollee in enrollees]
    counts = Counter(names)
    same = [folder for folder, name in zip(folders, names, strict=True) if counts[name] > 1]
    if same:
        raise typer.BadParameter(
            f"{' and '.join(same[:2])} have the same name: enroll them separately, each with its own --person-id.",
            param_hint="SOURCE",
        )
