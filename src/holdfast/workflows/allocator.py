"""Keep freed memory in the process: a network on a CPU otherwise spends up to half of its time on page faults."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep and reuse freed memory instead of returning it, and torch to ask for huge pages.

    This changes the whole process, so it is for programs to call, before the first large tensor; the library never
    does. Results do not change.

    Returns:
        Whether the allocator is glibc's and took the settings.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 256 << 20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)
