"""The native sampler, where it was built. Bit-equal to :mod:`holdfast.noise.sampler`, an order of magnitude faster."""

from __future__ import annotations

import atexit
import os
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.noise.tables import NoiseTable

_native: Any
try:
    _native = import_module("holdfast._native")
except ImportError:  # installed without a compiler: the NumPy sampler serves
    _native = None

__all__ = ["available", "sample_table", "sampler"]


def available() -> bool:
    """Whether the native sampler is used: it was built, and ``HOLDFAST_NATIVE`` is not ``0``."""
    return _native is not None and os.environ.get("HOLDFAST_NATIVE", "1") != "0"


@lru_cache(maxsize=16)
def sampler(table: NoiseTable) -> Any:
    """The law's table as the native code keeps it."""
    return _native.Sampler(table.low, table.limbs)


atexit.register(sampler.cache_clear)  # the binding reports objects that outlive the interpreter as leaked


def sample_table(table: NoiseTable, key: tuple[int, int], start: int, count: int, dimension: int) -> NDArray[np.int16]:
    """Same contract as :func:`holdfast.noise.sampler.sample_table`."""
    out = np.empty((count, dimension), dtype=np.int16)
    sampler(table).fill(key[0], key[1], start, out)
    return out
