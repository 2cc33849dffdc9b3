"""Reuse of freed memory for the next image instead of returning it to the system.

The C library returns blocks of several megabytes to the system at once, so that the buffers of every image are mapped
and zeroed again page by page. For an uncompressed file this takes longer than reading it.
"""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_KEPT = 128 << 20  # bytes that a process may keep unused
_LARGEST = 32 << 20  # blocks above it come and go as before: the most that the library allows


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep up to 128 MB of freed memory in this process; returns whether this is supported.

    Only the GNU C library has the setting; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))
