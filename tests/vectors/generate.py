"""Writes the known answers beside this file: ``python tests/vectors/generate.py``.

They are what every sampler must reproduce, in whatever language. Everything is computed here the slow way, one
coordinate at a time, from the two readable specifications (``philox4x32`` and ``NoiseTable.by_integer`` on all 128
bits), never by a sampler. Numbers of more than 32 bits are hexadecimal strings.

``philox.json``
    ``blocks``: counter, key and words of Philox4x32-10 (the first three are Random123's ``kat_vectors``).
    ``keys``: addresses and their Philox keys.
``tables.json``
    Noise tables by law and ``sigma_px``: ``low``, the number of thresholds, the digest (SHA-256 of ``low`` in decimal, a
    line feed, and the thresholds as 16 big-endian bytes each), and a few of the thresholds.
``noise.json``
    ``samples[i][j]`` is coordinate j of sample ``start + i`` at ``key``, for the table of a law and scale.
``ties.json``
    The same for small made-up tables, in which thresholds share leading words with the uniforms at these addresses, so
    that one, two, three or four words are needed to decide.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.noise import noise_law
from holdfast.noise.integer_noise import IntegerNoise
from holdfast.noise.philox import philox4x32
from holdfast.noise.tables import NoiseTable
from holdfast.records import Address, Purpose

Key = tuple[int, int]
FOLDER = Path(__file__).parent
WORD, BITS = 0xFFFFFFFF, 128
LAWS = ("discrete", "rounded")
TABLE_SCALES = ("0.05", "0.3", "1", "2.5", "15.3", "30.6", "63.75", "127.5", "255", "2400")
SAMPLE_SCALES = ("0.3", "30.6", "63.75", "255", "2400")
RANGES = [(0, 2, 7), (5, 1, 261), (2**32 - 1, 2, 6), (0x123456789AB, 1, 9), (2**63 - 2, 2, 5)]
"""(start, count, dimension): not multiples of four, more than 256 coordinates, samples around and far beyond 2^32."""
RANDOM123 = [
    ((0, 0, 0, 0), (0, 0)),
    ((WORD, WORD, WORD, WORD), (WORD, WORD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)),
]
ADDRESSES = [
    Address(bytes(32), bytes(32), Purpose.ESTIMATE),
    *(Address(bytes(range(32)), bytes(range(32, 64)), purpose, layer) for purpose in Purpose for layer in (0, 1)),
    Address(b"\xff" * 32, b"\xff" * 32, Purpose.VERIFY, WORD),
]


def uniform(key: Key, sample: int, coordinate: int) -> int:
    """All 128 bits of a coordinate: the words of tie levels 0 to 3, most significant first."""
    block, lane = divmod(coordinate, 4)
    u = 0
    for level in range(4):
        u = u << 32 | philox4x32((block, level, sample & WORD, sample >> 32), key)[lane]
    return u


def specified(table: NoiseTable, key: Key, start: int, count: int, dimension: int) -> list[list[int]]:
    """Noise by the specification: every coordinate decided by all its 128 bits."""
    return [[table.by_integer(uniform(key, s, j)) for j in range(dimension)] for s in range(start, start + count)]


def philox() -> dict[str, Any]:
    """Blocks and keys."""
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (767, 3, 2**32), (2**22 - 1, 2, 2**63 - 1)]
    counters = [((b, level, s & WORD, s >> 32), ADDRESSES[1].philox_key()) for b, level, s in places]
    blocks = [{"counter": c, "key": k, "words": philox4x32(c, k)} for c, k in RANDOM123 + counters]
    keys = [
        {
            "run_key": a.run_key.hex(),
            "input_digest": a.input_digest.hex(),
            "purpose": a.purpose.value,
            "layer": a.layer,
            "key": a.philox_key(),
        }
        for a in ADDRESSES
    ]
    return {"blocks": blocks, "keys": keys}


def table_of(law: str, sigma_px: str) -> NoiseTable:
    """The table of an integer law."""
    noise = noise_law(law, sigma_px)
    assert isinstance(noise, IntegerNoise)
    return noise.table


def tables() -> list[dict[str, Any]]:
    """Tables by law and scale."""
    return [_table_case(law, sigma_px, table_of(law, sigma_px)) for law in LAWS for sigma_px in TABLE_SCALES]


def _table_case(law: str, sigma_px: str, table: NoiseTable) -> dict[str, Any]:
    count = len(table.thresholds)
    shown = sorted({0, 1, count // 4, count // 2 - 1, count // 2, count - 1} & set(range(count)))
    return {
        "law": law,
        "sigma_px": sigma_px,
        "low": table.low,
        "count": count,
        "digest": table.digest,
        "thresholds": {str(table.low + i): f"{table.thresholds[i]:032x}" for i in shown},
    }


def noise() -> list[dict[str, Any]]:
    """Samples of both laws."""
    cases = []
    for law in LAWS:
        for sigma_px in SAMPLE_SCALES:
            for i, (start, count, dimension) in enumerate(RANGES):
                key, table = ADDRESSES[i].philox_key(), table_of(law, sigma_px)
                where = {"key": key, "start": f"{start:016x}", "dimension": dimension}
                samples = specified(table, key, start, count, dimension)
                cases.append({"law": law, "sigma_px": sigma_px, **where, "samples": samples})
    return cases


def ties() -> list[dict[str, Any]]:
    """Samples of tables that were made to tie: thresholds below, at and above the uniforms that are drawn."""
    cases = []
    for start, count, dimension in ((0, 2, 6), (2**32 - 1, 2, 5), (2**62 + 3, 1, 9)):
        for words in (1, 2, 3, 4):
            key = ADDRESSES[words].philox_key()
            drawn = [uniform(key, s, j) for s in range(start, start + count) for j in range(dimension)]
            table = tied_table(drawn, words)
            where = {"key": key, "start": f"{start:016x}", "dimension": dimension}
            thresholds = [f"{t:032x}" for t in table.thresholds]
            samples = specified(table, key, start, count, dimension)
            cases.append({"low": table.low, "thresholds": thresholds, **where, "samples": samples})
    return cases


def tied_table(drawn: list[int], words: int) -> NoiseTable:
    """Thresholds that agree with some of the uniforms in their first ``words`` words, and lie one step to either side."""
    step = 1 << (BITS - 32 * words)
    thresholds = {(u // step + (i % 3 - 1)) * step + (step >> 1) * (i % 2) for i, u in enumerate(drawn[::2])}
    return NoiseTable(-3, tuple(sorted(t for t in thresholds if 0 < t < 1 << BITS)))


def text(value: Any) -> str:
    """JSON with one case per line."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(k)}: {text(v)}" for k, v in value.items()) + "\n}"
    return "[\n" + ",\n".join(json.dumps(case) for case in value) + "\n]"


FILES = {"philox": philox, "tables": tables, "noise": noise, "ties": ties}


def main() -> None:
    """Write all files."""
    for name, make in FILES.items():
        (FOLDER / f"{name}.json").write_text(text(make()) + "\n")


if __name__ == "__main__":
    main()
