"""Memory that is no longer in use: when glibc returns it, and where Python looks for it in cycles.

By default glibc keeps freed memory in one pool per thread, and keeps more the larger the freed pieces are. With
pictures of many sizes the process then grows for hours.
"""

import ctypes
import gc
import sys
import threading
import time

from services.runtime.limits import MIB

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 32 * MIB
"""The most that glibc takes for its threshold."""
_NEVER = 1024 * MIB


def give_back_freed_memory(large: int = 2 * MIB) -> None:
    """From now on, return freed pieces of at least `large` bytes to the system at once. A no-op without glibc.

    A smaller value keeps less memory and costs more time for getting pages from the system again.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(_M_MMAP_THRESHOLD, large)
        libc.mallopt(_M_TRIM_THRESHOLD, large)
        libc.mallopt(_M_ARENA_MAX, 2)


def reuse_freed_memory(seconds: float = 1) -> None:
    """From now on, keep freed memory for the next picture, and return all that is free every so many seconds.

    Networks take and free some 45 MiB for a picture, in large pieces. To get their 11,000 pages anew costs much
    of a call's time; to keep them for good lets the process grow with every mixture of sizes. A no-op without glibc.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
        libc.mallopt(_M_ARENA_MAX, 1)
        threading.Thread(target=_trim_every, args=(seconds,), name="trim", daemon=True).start()


def spare_what_is_loaded() -> None:
    """From now on, never look for cycles of unused objects among those that are there: they stay.

    A fifth of a gateway's time went into looking at modules and descriptors again. New objects are looked at as often
    as ever: calls that are cancelled leave cycles, which hold their pictures.
    """
    gc.collect()
    gc.freeze()


def trim() -> None:
    """Return the memory freed so far to the system, after work such as loading a model."""
    libc = _glibc()
    if libc:
        libc.malloc_trim(0)


def _trim_every(seconds: float) -> None:
    while True:
        time.sleep(seconds)
        trim()


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
