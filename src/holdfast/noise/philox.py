"""Philox4x32-10 (Salmon et al. 2011) as a pure function, vectorised over a range of samples.

``counter = (block, tie level, sample low, sample high)``; block ``b`` gives four 32-bit words, for coordinates
``4b .. 4b+3``. Known answers: Random123's ``kat_vectors`` (counter not incremented before the first block).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["philox4x32", "word_lanes"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK = 0xFFFFFFFF
_LANE_LENGTH = 16384
"""Counters per vectorised batch: long enough to hide NumPy's call overhead, short enough to stay in cache."""


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """One block of four words: the readable specification.

    Args:
        counter: four words, each in [0, 2^32).
        key: two words, each in [0, 2^32).

    Returns:
        Four words, each in [0, 2^32).

    Example:
        >>> [f"{w:08x}" for w in philox4x32((0, 0, 0, 0), (0, 0))]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def word_lanes(key: tuple[int, int], start: int, count: int, blocks: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Tie level 0 words of samples ``start .. start+count-1``, ``blocks`` blocks each, in cache-sized batches.

    Counters are numbered ``i = (sample - start) * blocks + block``.

    Yields:
        ``(i, lanes)``: the number of the batch's first counter, and uint64 lanes of shape (4, m) whose low 32 bits
        are words 0..3 of counters ``i .. i+m-1``. The array is reused: copy what is to be kept.
    """
    total = count * blocks
    longest = min(_LANE_LENGTH, total)
    buffers = np.empty((6, longest), dtype=np.uint64)
    lanes = np.empty((4, longest), dtype=np.uint64)
    rows, columns = np.divmod(np.arange(longest + blocks, dtype=np.uint64), np.uint64(blocks))
    for first in range(0, total, _LANE_LENGTH):
        m = min(_LANE_LENGTH, total - first)
        row, column = divmod(first, blocks)
        sample = rows[column : column + m] + np.uint64(start + row)
        state = [buffer[:m] for buffer in buffers]
        state[0][:], state[1][:] = columns[column : column + m], 0
        state[2][:], state[3][:] = sample & np.uint64(_MASK), sample >> np.uint64(32)
        for lane, word in zip(lanes, _rounds(state, key), strict=True):
            np.bitwise_and(word, np.uint64(_MASK), out=lane[:m])
        yield first, lanes[:, :m]


def _rounds(state: list[NDArray[np.uint64]], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """Ten rounds in place. Words 1 and 3 may carry garbage above bit 31; words 0 and 2 never do."""
    c0, c1, c2, c3, p0, p1 = state
    k0, k1 = key
    m0, m1, mask, half = (np.uint64(v) for v in (*_MULTIPLIERS, _MASK, 32))
    for _ in range(_ROUNDS):
        np.multiply(c0, m0, out=p0)
        np.multiply(c2, m1, out=p1)
        for target, product, other, subkey in ((c0, p1, c1, k0), (c2, p0, c3, k1)):
            np.right_shift(product, half, out=target)
            np.bitwise_xor(target, other, out=target)
            np.bitwise_xor(target, np.uint64(subkey), out=target)
            np.bitwise_and(target, mask, out=target)
        c1, p1, c3, p0 = p1, c1, p0, c3
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3
