"""Who is to be enrolled, from files or folders on the command line."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from marquee.cli.inputs import check_files

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """A person, and pictures of them."""

    display_name: str
    person_id: str
    pictures: Sequence[str]
    """FILEs."""
    left_out: str = ""
    """What lies beside the pictures and is none; for people to read."""


def subjects_of(sources: Sequence[str], name: str, person_id: str) -> list[Subject]:
    """One person of all files, or one of each folder. Raises BadParameter, before any call."""
    folders = [source for source in sources if Path(source).is_dir()]
    if not folders:
        return [_of_files(sources, name, person_id)]
    if len(folders) < len(sources):
        raise typer.BadParameter(
            "name either pictures of one person, or folders with a person each.", param_hint="SOURCE"
        )
    if len(folders) > 1 and (name or person_id):
        raise typer.BadParameter(f"say who one person is, not {len(folders)}.", param_hint="--name, --person-id")
    subjects = [_of_folder(folder, name, person_id) for folder in folders]
    _refuse_namesakes(subjects, folders)
    return subjects


def _of_files(files: Sequence[str], name: str, person_id: str) -> Subject:
    check_files(files)
    if not files and not (name and person_id):
        raise typer.BadParameter(
            "name pictures, or folders of them. Only with both --name and --person-id are none needed.",
            param_hint="SOURCE",
        )
    if not (name or person_id):
        raise typer.BadParameter("say who is in the pictures.", param_hint="--name, --person-id")
    return Subject(name, person_id, files)


def _of_folder(folder: str, name: str, person_id: str) -> Subject:
    path = Path(folder)
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise typer.BadParameter(f"{folder}: {error.strerror}.", param_hint="SOURCE") from None
    pictures = [entry for entry in entries if entry.suffix.lower() in _SUFFIXES and not entry.is_dir()]
    if not pictures:
        raise typer.BadParameter(_without_pictures(folder, entries), param_hint="SOURCE")
    called = name or ("" if person_id else " ".join(path.resolve().name.replace("_", " ").split()))
    others = [entry.name for entry in entries if entry not in pictures]
    return Subject(called, person_id, [str(picture) for picture in pictures], _left_out(folder, others))


def _without_pictures(folder: str, entries: Sequence[Path]) -> str:
    if any(entry.is_dir() for entry in entries):
        return f"{folder} has folders and no pictures: to enroll a person from each, write {folder.rstrip('/')}/*/"
    return f"{folder} has no picture: none of its files ends in {', '.join(_SUFFIXES)}."


def _left_out(folder: str, others: Sequence[str]) -> str:
    if not others:
        return ""
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f"{folder}: left out, for not ending in {', '.join(_SUFFIXES)}: {', '.join(others[:_MOST_NAMED])}{more}"


def _refuse_namesakes(subjects: Sequence[Subject], folders: Sequence[str]) -> None:
    """Two folders of one name would become one person."""
    often = Counter(subject.display_name.casefold() for subject in subjects)
    same = [
        folder for folder, subject in zip(folders, subjects, strict=True) if often[subject.display_name.casefold()] > 1
    ]
    if same:
        raise typer.BadParameter(
            f"{' and '.join(same[:2])} have one name: enroll them one by one, each with a --person-id.",
            param_hint="SOURCE",
        )
