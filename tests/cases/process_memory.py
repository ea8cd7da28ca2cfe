"""How much memory this process uses, and a limit to it that the system enforces."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

__all__ = ["COUNTS_MALLOC", "TELLS_MEMORY", "bytes_in_use", "limit_to", "resident_bytes"]

STATUS = Path("/proc/self/statm")
TELLS_MEMORY = STATUS.exists()
"""Whether this system tells a process its memory."""
COUNTS_MALLOC = hasattr(ctypes.CDLL(None), "mallinfo2")
"""Whether this C library counts what it gives out."""


def resident_bytes() -> int:
    """What is in memory now."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def limit_to(more: int | None) -> None:
    """Let the process grow by so many bytes from now on; without limit for None."""
    pages = int(STATUS.read_text().split()[0])
    limit = resource.RLIM_INFINITY if more is None else pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


class _Malloc(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def bytes_in_use() -> int:
    """What malloc has given out, in all arenas and in mappings of its own."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Malloc
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)
