"""Memory that one picture has freed is kept for the next one, instead of being given back and asked for again.

The C library gives blocks of several megabytes back to the system at once, so that every picture's buffers are mapped,
zeroed and faulted in anew, page by page: for a plain file that is more work than reading it.
"""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_KEPT = 128 << 20  # bytes that a process may keep unused
_LARGEST = 32 << 20  # blocks above it come and go as before: the most that the library allows


@cache
def keep_freed_memory() -> bool:
    """Ask the C library of this process to keep what is freed, up to 128 MB; whether it could be asked (once).

    Only the GNU C library has the setting; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))
