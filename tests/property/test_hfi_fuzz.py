"""Damaged and forged ``.hfi`` files: each is refused with one line, or is a network that obeys the law. Nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import numpy as np
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from integer_networks import networks
from known_networks import known_answers

from holdfast.errors import ModelFileError
from holdfast.intnet import IntegerNetwork, codec
from holdfast.intnet.reference import trace

MOST_ELEMENTS = 100_000
"""Networks with larger values are not run here: that takes time and memory, as a large network must."""


@cache
def originals() -> list[bytes]:
    """Small files of every kind of operation."""
    short = sorted(known_answers("layers") + known_answers("networks"), key=lambda known: len(known.name))
    return [codec.to_bytes(IntegerNetwork(known.network.operations, {"accuracy": 0.5, "of": [1]})) for known in short]


FILES = st.integers(0, len(known_answers("layers")) - 1).map(lambda i: originals()[i]) | networks().map(codec.to_bytes)


def outcome(data: bytes) -> IntegerNetwork | str:
    """The network of a file after it was found to obey the law, or the reason of its refusal. Nothing else may happen."""
    try:
        network = codec.from_bytes(data, "file.hfi")
    except ModelFileError as error:
        message = str(error)
        assert message.startswith("file.hfi ")
        assert message.isprintable(), "one line"
        assert len(message) < 600
        event("refused")
        return message
    event("accepted")
    assert codec.from_bytes(codec.to_bytes(network), "a copy").digest == network.digest
    if max(prod(shape) for shape in network.values) <= MOST_ELEMENTS:
        check_run(network)
    return network


def check_run(network: IntegerNetwork) -> None:
    """It runs, and every value stays in its proved range."""
    random = np.random.default_rng(0)
    noisy = random.integers(-(1 << 15), 1 << 15, (1, *network.shape)).astype(np.int16)
    for value, proved in zip(trace(network, noisy), network.ranges, strict=True):
        along = (-1,) + (1,) * (value.ndim - 2)
        assert (proved.low.reshape(along) <= value).all()
        assert (value <= proved.high.reshape(along)).all()


def with_true_digest(data: bytes) -> IntegerNetwork | str:
    """The outcome for a forger who corrects the digest, so that it is not the digest alone that finds him out."""
    found = outcome(data)
    match = re.search(r"has digest ([0-9a-f]{64}), its header says '([0-9a-f]{64})'", str(found))
    if match is None:
        return found
    corrected = outcome(data.replace(match[2].encode(), match[1].encode()))
    assert isinstance(corrected, IntegerNetwork), "only the digest was wrong"
    event("accepted with another digest")
    return corrected


@given(st.integers(-127, 127))
def test_a_forged_weight_is_accepted_with_its_own_digest_alone(weight: int) -> None:
    data = bytearray(codec.to_bytes(known_answers("networks")[0].network))
    assume(data[-1] != weight % 256)
    data[-1] = weight % 256
    assert "its content has digest" in str(outcome(bytes(data)))
    assert isinstance(with_true_digest(bytes(data)), IntegerNetwork)


@given(st.data())
@settings(max_examples=300)
def test_bytes_that_are_changed(data: st.DataObject) -> None:
    file = bytearray(data.draw(FILES))
    for _ in range(data.draw(st.integers(1, 3))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with_true_digest(bytes(file))


@given(st.data())
@settings(max_examples=200)
def test_pieces_that_are_cut_out_repeated_or_exchanged(data: st.DataObject) -> None:
    file = data.draw(FILES)
    a, b, c, d = sorted(data.draw(st.tuples(*[st.integers(0, len(file))] * 4)))
    kinds: dict[str, Callable[[], bytes]] = {
        "truncated": lambda: file[:a],
        "beheaded": lambda: file[a:],
        "cut out": lambda: file[:a] + file[b:],
        "repeated": lambda: file[:b] + file[a:],
        "exchanged": lambda: file[:a] + file[c:d] + file[b:c] + file[a:b] + file[d:],
        "longer": lambda: file + file[a:b],
    }
    with_true_digest(kinds[data.draw(st.sampled_from(sorted(kinds)))]())


@given(st.binary(max_size=200))
def test_bytes_of_nobody(data: bytes) -> None:
    assert isinstance(outcome(data), str)
    assert isinstance(outcome(len(data).to_bytes(8, "little") + data), str)


class Raw:
    """Text that stands in JSON as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


HOSTILE: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        "x",
        "a\nb",
        "\ud800",
        "1.weight",
        [],
        {},
        [1],
        [[]],
        {"a": 1},
        [0, 0],
        [1, 1],
        [2, 2, 2, 2],
    ),
    *(0, 1, -1, 2, 127, -128, 128, 255, 65536, 65537, 2**22, 2**31 - 1, 2**31, 2**62, 2**63, 2**64, -(2**63), 10**40),
    *(0.0, 1.0, 0.5, -1e300),
    *map(
        Raw,
        ("NaN", "Infinity", "-Infinity", "1e999", "[" * 5000 + "]" * 5000, "9" * 5000, '{"a":1,"a":2}', "01", "'x'"),
    ),
]


@given(st.data())
@settings(max_examples=500)
def test_fields_of_the_json_that_are_replaced_removed_or_doubled(data: st.DataObject) -> None:
    file = data.draw(FILES)
    size = int.from_bytes(file[:8], "little")
    outer = json.loads(file[8 : 8 + size])
    inner = json.loads(outer["__metadata__"]["holdfast"])
    tree = inner if data.draw(st.integers(0, 3)) else outer
    for _ in range(data.draw(st.integers(1, 2))):
        edit(data, tree)
    outer["__metadata__"] = outer.get("__metadata__", {"holdfast": ""})
    if tree is inner and isinstance(outer["__metadata__"], dict):
        outer["__metadata__"]["holdfast"] = as_text(inner)
    header = as_text(outer).encode("utf-8", "surrogatepass")
    with_true_digest(len(header).to_bytes(8, "little") + header + file[8 + size :])


def edit(data: st.DataObject, tree: Any) -> None:
    """One change somewhere in a tree of JSON values."""
    places = [
        (holder, key)
        for holder in holders(tree)
        for key in (holder if isinstance(holder, dict) else range(len(holder)))
    ]
    if not places:
        return
    holder, key = data.draw(st.sampled_from(places))
    kind = data.draw(st.sampled_from(["replace", "replace", "replace", "nudge", "remove", "add", "move"]))
    if kind == "remove":
        del holder[key]
    elif kind == "nudge" and type(holder[key]) is int:
        holder[key] += data.draw(st.sampled_from([-1, 1, 2, 100]))
    elif kind == "add" and isinstance(holder, dict):
        holder["unknown"] = data.draw(st.sampled_from(HOSTILE))
    elif kind == "move":
        other, place = data.draw(st.sampled_from(places))
        holder[key], other[place] = other[place], holder[key]
    else:
        holder[key] = data.draw(st.sampled_from(HOSTILE))


def holders(tree: Any) -> list[Any]:
    """All objects and arrays that hold something."""
    found, open_ = [], [tree]
    while open_ and len(found) < 10_000:
        value = open_.pop()
        if isinstance(value, dict | list) and value:
            found.append(value)
            open_ += value.values() if isinstance(value, dict) else value
    return found


def as_text(value: Any) -> str:
    """JSON, with raw pieces; a tree in which a value holds itself ends somewhere."""
    raws: list[str] = []

    def raw(found: Any) -> str:
        raws.append(found.text)
        return f"@{len(raws) - 1}@"

    try:
        text = json.dumps(value, default=raw, separators=(",", ":"))
    except (RecursionError, ValueError):  # a value was moved into itself
        return "[]"
    for i, piece in enumerate(raws):
        text = text.replace(f'"@{i}@"', piece)
    return text


@given(st.data())
@settings(max_examples=200)
def test_tensors_with_other_numbers(data: st.DataObject) -> None:
    """A forger who changes weights, biases, multipliers and shifts and corrects the digest gets what he wrote, or nothing."""
    file = bytearray(data.draw(FILES))
    start = 8 + int.from_bytes(file[:8], "little")
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(start, len(file) - 1))
        file[place] = data.draw(st.sampled_from([0, 1, 127, 128, 129, 255, 52, 53, 63, 64]))
    with_true_digest(bytes(file))
