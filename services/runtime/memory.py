"""Keeps the process's memory as small as its work.

glibc keeps freed memory for the next need, in one pool for each thread, and takes the size of what was
freed last as a hint to keep even more. With pictures of many sizes that grows for hours.
"""

import ctypes
import sys

from services.runtime.limits import MIB

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def give_back_freed_memory(large: int = 2 * MIB) -> None:
    """From now on pieces of so many bytes and more go back to the system at once. Does nothing without glibc.

    The smaller they may be, the less is kept, and the more time goes into getting pages from the system again.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(_M_MMAP_THRESHOLD, large)
        libc.mallopt(_M_TRIM_THRESHOLD, large)
        libc.mallopt(_M_ARENA_MAX, 2)


def trim() -> None:
    """Gives back what was freed until now, after work such as loading a model."""
    libc = _glibc()
    if libc:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
