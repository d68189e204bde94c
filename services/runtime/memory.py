"""glibc's allocator, set to return freed memory.

By default glibc keeps freed memory in one pool per thread, and keeps more the larger the freed pieces are. With
pictures of many sizes the process then grows for hours.
"""

import ctypes
import sys

from services.runtime.limits import MIB

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def give_back_freed_memory(large: int = 2 * MIB) -> None:
    """From now on, return freed pieces of at least `large` bytes to the system at once. A no-op without glibc.

    A smaller value keeps less memory and costs more time for getting pages from the system again.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(_M_MMAP_THRESHOLD, large)
        libc.mallopt(_M_TRIM_THRESHOLD, large)
        libc.mallopt(_M_ARENA_MAX, 2)


def trim() -> None:
    """Return the memory freed so far to the system, after work such as loading a model."""
    libc = _glibc()
    if libc:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
