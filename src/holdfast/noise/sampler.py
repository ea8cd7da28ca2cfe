"""NumPy sampler: addresses to integer noise, at any address, in any order.

It is the readable twin of the native sampler and equals it bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.noise.philox import philox4x32, word_lanes
from holdfast.noise.tables import UNDECIDED, NoiseTable

__all__ = ["sample_table"]

_WORD_BITS = 32
_GUIDE_SHIFT = np.uint64(16)


def sample_table(table: NoiseTable, key: tuple[int, int], start: int, count: int, dimension: int) -> NDArray[np.int16]:
    """Integer noise of samples ``start .. start+count-1``.

    Args:
        table: the law.
        key: Philox key, two 32-bit words.
        start: index of the first sample, in [0, 2^64).
        count: number of samples.
        dimension: coordinates of each.

    Returns:
        int16 array of shape (count, dimension).
    """
    blocks = -(-dimension // 4)
    out = np.empty((count * blocks, 4), dtype=np.int16)
    for first, lanes in word_lanes(key, start, count, blocks):
        values = table.guide.take((lanes >> _GUIDE_SHIFT).view(np.int64), mode="clip")
        rows = np.nonzero(values == UNDECIDED)
        if rows[0].size:
            words = lanes[rows]
            decided, tied = table.by_word(words)
            for i in np.flatnonzero(tied):
                lane, counter = int(rows[0][i]), first + int(rows[1][i])
                decided[i] = _resolve(table, key, start, counter, blocks, lane, int(words[i]))
            values[rows] = decided
        out[first : first + lanes.shape[1]] = values.T
    return out.reshape(count, blocks * 4)[:, :dimension]


def _resolve(
    table: NoiseTable, key: tuple[int, int], start: int, counter: int, blocks: int, lane: int, word: int
) -> int:
    """A tie: draw the 96 bits of tie levels 1 to 3 and decide with all 128."""
    sample, block = start + counter // blocks, counter % blocks
    u = word
    for level in (1, 2, 3):
        u = u << _WORD_BITS | philox4x32((block, level, sample & 0xFFFFFFFF, sample >> _WORD_BITS), key)[lane]
    return table.by_integer(u)
