"""How much memory this process uses, and a limit to it that the system enforces; marks for tests that need either."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

import pytest

__all__ = ["COUNTED", "LIMITED", "bytes_in_use", "limit_to", "resident_bytes"]

STATUS = Path("/proc/self/statm")
LIMITED = pytest.mark.skipif(not STATUS.exists(), reason="this system does not tell a process its memory")
COUNTED = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library does not count its memory"
)


def resident_bytes() -> int:
    """What is in memory now."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def limit_to(more: int | None) -> None:
    """Let the process grow by so many bytes from now on; as far as the system allows for None."""
    limit = hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if more is not None:
        limit = int(STATUS.read_text().split()[0]) * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


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
