"""The manifest: the files of a version with their hashes, written by the converter and checked by `fetch`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.runtime.storage import files

FILE = "manifest.json"


def _within(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or "\\" in path or ".." in parts or PurePosixPath(path).is_absolute() or path == FILE:
        raise ValueError(f"{path!r} is not a file of a version's folder")
    return path


class Entry(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """All files of a version except the manifest, by their paths in its folder."""

    model_config = ConfigDict(frozen=True)

    files: Annotated[dict[Annotated[str, AfterValidator(_within)], Entry], Field(min_length=1)]


def describe(folder: Path) -> Manifest:
    """Return the manifest of the folder's files, all of which are read. Blocks."""
    return Manifest(files={name: _entry(folder / name) for name in _names(folder)})


def write(manifest: Manifest, folder: Path) -> None:
    """Write FOLDER/manifest.json. Blocks."""
    files.write(folder / FILE, f"{manifest.model_dump_json(indent=1)}\n")


def differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what is missing or differs in length or content, one clause per file. Blocks."""
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif (size := path.stat().st_size) != entry.bytes:
            yield f"{name} has {size} bytes instead of {entry.bytes}"
        elif sha256_of(path) != entry.sha256:
            yield f"{name} has a SHA-256 other than the manifest's"


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 as 64 lower-case hexadecimal digits. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != FILE)


def _entry(path: Path) -> Entry:
    return Entry(bytes=path.stat().st_size, sha256=sha256_of(path))
