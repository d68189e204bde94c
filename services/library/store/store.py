"""The object store: files by their names, at file:///FOLDER or s3://BUCKET/PREFIX."""

import asyncio
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from services.runtime.errors import DependencyUnavailable, InvalidRequest, Misconfigured, ObjectNotFound
from services.runtime.storage import files
from services.runtime.storage.s3 import S3, Changed, S3Url, is_s3

T = TypeVar("T")
_THREADS = 32
_HINT = "MARQUEE_LIBRARY_STORE is file:///FOLDER, which all replicas share, or s3://BUCKET/PREFIX."


def original(collection_id: int, sha256: bytes) -> str:
    """Return the name of a picture's file. Nothing that a caller sends is ever part of a name."""
    digest = sha256.hex()
    return f"{collection_id}/{digest[:2]}/{digest}"


def thumbnail(collection_id: int, sha256: bytes) -> str:
    """Return the name of a picture's thumbnail."""
    return f"{original(collection_id, sha256)}.webp"


class Store:
    """The store. What is written is there after a power cut, too, and never changes: a name stands for its content.

    Methods raise DependencyUnavailable while the store is away, and Misconfigured where an operator has to do
    something.
    """

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        """Use the store at this URL. Raises Misconfigured."""
        self._place = _Bucket(url, endpoint_url) if is_s3(url) else _Folder(_folder_of(url))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    async def write(self, name: str, content: bytes) -> None:
        """Keep a file. One of this name that is there already is kept instead, as if it were written now."""
        await self._run(partial(self._place.write, name, content))

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None: there is none."""
        return await self._run(partial(self._place.read, name))

    async def has(self, name: str) -> bool:
        """Return whether there is a file."""
        return await self._run(partial(self._place.has, name))

    async def erase(self, name: str, before: datetime | None = None) -> list[str]:
        """Erase a file with all its versions; return the URL of each, none if there is no file.

        Given `before`, leave what was written since.
        """
        return await self._run(partial(self._place.erase, name, before))

    async def names(self, before: datetime) -> AsyncIterator[list[str]]:
        """Yield the names of files that were written last before this time, some at a time."""
        pages = self._place.names(before)
        while (page := await self._run(partial(next, pages, None))) is not None:
            yield page

    def close(self) -> None:
        """Finish what is being written."""
        self._threads.shutdown()

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, job)


class _Place(ABC):
    """Where the files are. Methods block."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None: ...

    @abstractmethod
    def read(self, name: str) -> bytes | None: ...

    @abstractmethod
    def has(self, name: str) -> bool: ...

    @abstractmethod
    def erase(self, name: str, before: datetime | None) -> list[str]: ...

    @abstractmethod
    def names(self, before: datetime) -> Iterator[list[str]]: ...


class _Folder(_Place):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        with self._explained():
            new = self._make(path.parent)
            try:
                os.utime(path)
            except FileNotFoundError:
                files.write(path, content)
            for folder in (path.parent, *new):  # also if somebody else has only just written it
                _sync(folder)

    def read(self, name: str) -> bytes | None:
        with self._explained(), suppress(FileNotFoundError, NotADirectoryError):
            return (self._folder / name).read_bytes()
        return None

    def has(self, name: str) -> bool:
        with self._explained(), suppress(FileNotFoundError, NotADirectoryError):
            (self._folder / name).stat()
            return True
        return False

    def erase(self, name: str, before: datetime | None) -> list[str]:
        path = self._folder / name
        with self._explained(), suppress(FileNotFoundError, NotADirectoryError):
            if before is None:
                path.unlink()
            elif not _unlink_old(path, before):
                return []
            _sync(path.parent)
            return [path.as_uri()]
        return []

    def names(self, before: datetime) -> Iterator[list[str]]:
        with self._explained():
            for folder, _, names in os.walk(self._folder):
                paths = [Path(folder, name) for name in names]
                yield [str(path.relative_to(self._folder)) for path in paths if _is_older(path, before)]

    def _make(self, folder: Path) -> list[Path]:
        """Make the folder, and return those that have a new one in them."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        return [one.parent for one in missing]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as exc:
            raise Misconfigured(f"The library may not use its store: {exc.strerror}. {_HINT}") from exc
        except OSError as exc:
            raise DependencyUnavailable(
                f"The library's store fails: {exc.strerror or type(exc).__name__}.", dependency="store"
            ) from exc


class _Bucket(_Place):
    def __init__(self, url: str, endpoint_url: str | None) -> None:
        try:
            self._folder = S3Url.parse_folder(url)
        except InvalidRequest as exc:
            raise Misconfigured(f"{exc.message} {_HINT}") from None
        retries = {"total_max_attempts": 2, "mode": "standard"}
        self._s3 = S3(endpoint_url, connect_timeout=2, read_timeout=5, max_pool_connections=_THREADS, retries=retries)

    def write(self, name: str, content: bytes) -> None:
        url = self._folder.child(name)
        try:
            self._s3.write(url, content, etag="")
        except Changed:  # it is there already
            self._s3.touch(url)

    def read(self, name: str) -> bytes | None:
        with suppress(ObjectNotFound):
            return self._s3.read(self._folder.child(name))[0]
        return None

    def has(self, name: str) -> bool:
        with suppress(ObjectNotFound):
            self._s3.etag(self._folder.child(name))
            return True
        return False

    def erase(self, name: str, before: datetime | None) -> list[str]:
        url = self._folder.child(name)
        return [f"{url}?versionId={version}" for version in self._s3.erase(url, before)]

    def names(self, before: datetime) -> Iterator[list[str]]:
        return self._s3.names(self._folder, before)


def _folder_of(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc or not path.is_absolute():
        raise Misconfigured(f"The library keeps its files at a URL, which {url!r} is not. {_HINT}")
    return path


def _unlink_old(path: Path, before: datetime) -> bool:
    """Unlink a file unless it was written since, also in this moment: then its writer finds it, or writes it anew."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    path.rename(aside)
    if _is_older(aside, before):
        aside.unlink()
        return True
    aside.replace(path)
    return False


def _is_older(path: Path, before: datetime) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < before.timestamp()
    return False


def _sync(folder: Path) -> None:
    """Have the folder's entries survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
