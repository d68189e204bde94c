"""The file that is written piece by piece, as an export is."""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from marquee.channels.credentials import StrPath
from marquee.library.results import ExportSummary
from marquee.library.v1 import library_pb2 as pb

Progress = Callable[[int, int], None]
"""Gets how many pictures or faces are written, and about how many there will be."""


class TargetFile:
    """A file that appears under its path once it is whole, or one that is open already. Raises OSError."""

    def __init__(self, target: StrPath | BinaryIO, progress: Progress | None = None) -> None:
        self._progress = progress or (lambda _done, _total: None)
        self._estimate = 0
        self._target = target
        self._whole: Path | None = None
        """Where the file appears once it is whole."""

    def __enter__(self) -> Self:
        if not isinstance(self._target, str | os.PathLike):
            self._file = self._target
            return self
        target = Path(self._target)
        if target.exists() and not target.is_file():  # a device or a pipe
            self._file = target.open("wb")
        else:
            self._whole = target.resolve()
            self._part = self._whole.with_name(f".{self._whole.name[:200]}.{os.urandom(8).hex()}.part")
            self._file = self._part.open("xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is self._target:
            return
        try:
            self._file.close()
            if self._whole is not None and error is None:
                self._part.replace(self._whole)
        finally:
            if self._whole is not None:
                self._part.unlink(missing_ok=True)

    def write(self, content: bytes, done: int = 0, estimate: int = 0) -> None:
        """Write a piece, with which so much is done of about so much; 0: as before."""
        self._file.write(content)
        self._estimate = estimate or self._estimate
        self._progress(done, max(self._estimate, done))


class ExportFile(TargetFile):
    """The file of an export of pictures."""

    summary = ExportSummary("", 0)

    def add(self, part: pb.ExportPicturesResponse) -> None:
        """Write a piece."""
        self.write(part.content, part.picture_count, part.estimated_count)
        self.summary = ExportSummary(part.export_id or self.summary.export_id, part.picture_count)
