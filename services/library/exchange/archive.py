"""Tar files, made a piece at a time. Pure."""

import tarfile
from datetime import datetime

END = bytes(2 * tarfile.BLOCKSIZE)
"""What a file ends with."""


def entry(path: str, content: bytes, time: datetime) -> bytes:
    """Return a file of an archive: its head and its bytes."""
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = len(content), int(time.timestamp()), 0o644
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return info.tobuf(tarfile.PAX_FORMAT) + content + padding
