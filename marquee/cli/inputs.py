"""Files and folders on the command line: pictures to recognize, and people to enroll."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from marquee.sources import MAX_IMAGE_BYTES, Source, check_size, is_s3, read_file

STDIN = "-"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_ENDINGS = ", ".join(_SUFFIXES)
_NO_PICTURES = f"files that do not end in {_ENDINGS}"
_NO_FILES = "what is no file, or a link to a folder"
_HIDDEN = "what is hidden"
_MAX_LISTED_FILES = 3
_MAX_LIST_BYTES = 64 * 1024 * 1024
"""Of --files-from: names of about a million files."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures to recognize."""

    files: Sequence[str]
    """FILEs."""
    notes: Sequence[str]
    """About files of folders that were left out."""
    is_single: bool
    """Whether one FILE was given, rather than a folder, a list or several."""


def pictures_of(sources: Sequence[str], list_file: str | None, *, null: bool) -> Pictures:
    """Return the FILEs among the sources and in the list, and those in the folders. Raises BadParameter.

    `list_file` has one source a line, or with `null` one before each NUL.
    """
    given = [*sources, *(listed(list_file, null=null) if list_file is not None else ())]
    if list_file == STDIN and STDIN in given:
        raise typer.BadParameter("- can be read only once.", param_hint="--files-from")
    files: list[str] = []
    notes: list[str] = []
    for source in given:
        if _is_folder(source):
            found, skipped = _found(source)
            files += found
            notes += skipped
        else:
            files.append(source)
    check_files(files)
    return Pictures(files, notes, is_single=list_file is None and list(sources) == files and len(files) == 1)


def check_files(files: Sequence[str]) -> None:
    """Check that the files exist, before any call. Raises BadParameter."""
    if files.count(STDIN) > 1:
        raise typer.BadParameter("- can be read only once.", param_hint="FILE")
    for file in files:
        if file == STDIN or is_s3(file):
            continue
        try:
            if not Path(file).exists() or Path(file).is_dir():
                raise typer.BadParameter(f"{file} is not a file.", param_hint="FILE")
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}.", param_hint="FILE") from None


def load(file: str) -> Source:
    """Return a FILE's bytes, or the URL of an S3 object as it is. Raises InvalidImage, OSError."""
    if file == STDIN:
        return check_size(_read_standard_input(MAX_IMAGE_BYTES + 1), "standard input")
    return file if is_s3(file) else read_file(file)


def listed(list_file: str, *, null: bool = False, hint: str = "--files-from") -> Iterator[str]:
    """Return the names in a list: one a line, or with `null` one before each NUL. Raises BadParameter."""
    content = _read_list(list_file, hint).removeprefix(b"\xef\xbb\xbf")
    if not null and b"\0" in content:
        raise typer.BadParameter(
            f"{list_file} is no list of one name a line; if a NUL ends each, add --null.", param_hint=hint
        )
    names = content.split(b"\0") if null else (line.removesuffix(b"\r") for line in content.split(b"\n"))
    return (os.fsdecode(name) for name in names if name.strip())


def _read_list(list_file: str, hint: str) -> bytes:
    try:
        if list_file == STDIN:
            content = _read_standard_input(_MAX_LIST_BYTES + 1)
        else:
            with Path(list_file).open("rb") as file:
                content = file.read(_MAX_LIST_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{list_file}: {error.strerror}.", param_hint=hint) from None
    if len(content) > _MAX_LIST_BYTES:
        raise typer.BadParameter(f"{list_file} is larger than 64 MiB.", param_hint=hint)
    return content


def _found(folder: str) -> tuple[list[str], list[str]]:
    """Return the pictures in the folder and its folders, and notes about what is left out. Raises BadParameter."""
    pictures: list[str] = []
    skipped: dict[str, list[str]] = {_NO_PICTURES: [], _HIDDEN: [], _NO_FILES: []}
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        skipped[_HIDDEN] += [name for name in (*folders, *names) if name.startswith(".")]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [path for path in (Path(parent, name) for name in folders) if path.is_symlink()]
        paths = sorted(Path(parent, name) for name in names if not name.startswith("."))
        for path in (*links, *paths):
            if kind := _skipped_kind(path):
                skipped[kind].append(os.path.relpath(path, folder))
            else:
                pictures.append(str(path))
    if not pictures:
        raise typer.BadParameter(f"{folder} has no pictures: no file in it ends in {_ENDINGS}.", param_hint="FILE")
    notes = (_skipped(folder, kind, names) for kind, names in skipped.items())
    return pictures, [note for note in notes if note]


def _skipped_kind(path: Path) -> str:
    """Return why the path in a folder is left out; empty for a picture."""
    if path.is_dir() or (path.suffix.lower() in _SUFFIXES and not path.is_file()):
        return _NO_FILES
    return "" if path.suffix.lower() in _SUFFIXES else _NO_PICTURES


def _is_folder(source: str) -> bool:
    return not is_s3(source) and os.path.isdir(source)  # noqa: PTH112 - Path's raises for a name that is too long


def _refuse_folder(error: OSError) -> None:
    raise typer.BadParameter(f"{error.filename}: {error.strerror}.", param_hint="FILE")


def _read_standard_input(size: int) -> bytes:
    return sys.stdin.buffer.read(size) if sys.stdin else b""  # None if the shell closed it: <&-


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
    folders = [source for source in sources if _is_folder(source)]
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
    return Enrollee(
        display_name, person_id, [str(picture) for picture in pictures], _skipped(folder, _NO_PICTURES, others)
    )


def _no_pictures(folder: str, entries: Sequence[Path]) -> str:
    if any(entry.is_dir() for entry in entries):
        return f"{folder} has folders but no pictures: to enroll one person per folder, use {folder.rstrip('/')}/*/"
    return f"{folder} has no pictures: none of its files ends in {_ENDINGS}."


def _skipped(folder: str, kind: str, names: Sequence[str]) -> str:
    """Return a note about what was left out; empty if nothing was."""
    if not names:
        return ""
    more = f" and {len(names) - _MAX_LISTED_FILES:,} more" if len(names) > _MAX_LISTED_FILES else ""
    return f"{folder}: skipped {kind}: {', '.join(names[:_MAX_LISTED_FILES])}{more}"


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
