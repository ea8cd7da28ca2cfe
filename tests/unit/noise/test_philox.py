"""Philox4x32-10 against Random123's known answers and against another implementation (randomgen)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from randomgen import Philox

from holdfast.noise.philox import philox4x32, word_lanes

WORD = st.integers(0, 2**32 - 1)
KEY = st.tuples(WORD, WORD)
BATCH = 16384
RANDOM123 = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hexadecimal(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


def oracle(key: tuple[int, int], counter: int, blocks: int) -> NDArray[np.uint64]:
    """Blocks ``counter ..`` by randomgen, which increments its 128-bit counter before the first block."""
    generator = Philox(key=key[0] | key[1] << 32, counter=(counter - 1) % 2**128, number=4, width=32)
    return generator.random_raw(4 * blocks).astype(np.uint64).reshape(blocks, 4)


@pytest.mark.parametrize(("counter", "key", "words"), RANDOM123)
def test_random123_known_answers(counter: str, key: str, words: str) -> None:
    k0, k1 = hexadecimal(key)
    c0, c1, c2, c3 = hexadecimal(counter)
    assert philox4x32((c0, c1, c2, c3), (k0, k1)) == hexadecimal(words)


@given(st.tuples(WORD, WORD, WORD, WORD), KEY)
def test_the_specification_equals_another_implementation(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> None:
    number = sum(word << (32 * i) for i, word in enumerate(counter))
    assert list(philox4x32(counter, key)) == oracle(key, number, 1)[0].tolist()


@given(
    KEY,
    st.one_of(st.integers(0, 2**63 - 8), st.integers(2**32 - 8, 2**32 + 1), st.integers(0, 4)),
    st.integers(0, 8),
    st.integers(1, 9),
)
def test_lanes_are_the_specification_at_the_documented_counters(
    key: tuple[int, int], start: int, count: int, blocks: int
) -> None:
    found = {}
    for first, lanes in word_lanes(key, start, count, blocks):
        for i in range(lanes.shape[1]):
            found[first + i] = tuple(lanes[:, i].tolist())
    expected = {
        (s * blocks + b): philox4x32((b, 0, (start + s) & 0xFFFFFFFF, (start + s) >> 32), key)
        for s in range(count)
        for b in range(blocks)
    }
    assert found == expected


@pytest.mark.parametrize(("count", "blocks"), [(1, BATCH), (1, BATCH + 1), (3, 7000), (5000, 7), (2, 2 * BATCH + 5)])
def test_batches_meet_without_gap_or_overlap(count: int, blocks: int) -> None:
    """Every counter once, in order, also where batches end within a sample."""
    key, start = (0x01234567, 0x89ABCDEF), 2**32 - 2
    expected = np.concatenate([oracle(key, (start + s) << 64, blocks) for s in range(count)])
    done = 0
    for first, lanes in word_lanes(key, start, count, blocks):
        assert first == done
        assert np.array_equal(lanes.T, expected[first : first + lanes.shape[1]])
        done += lanes.shape[1]
    assert done == count * blocks


def test_no_samples_give_no_batches() -> None:
    assert list(word_lanes((1, 2), 0, 0, 5)) == []
