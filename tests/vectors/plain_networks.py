"""A plain implementation of integer networks, from the text of the law: Python integers and loops, no array, no NumPy.

It shares no line with :mod:`holdfast.intnet`. Operations are dictionaries, written as in an ``.hfi`` file, but for arrays,
which are given as dtype and shape with either their ``values`` in C order or a ``rule`` [a, b, m, c], which says that
element i is ``(a * i + b) % m + c``. Images are such arrays as well, (N, C, H, W).
"""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import product
from math import prod
from typing import Any

Array = dict[str, Any]
Value = tuple[tuple[int, ...], list[int]]
"""Shape and elements in C order."""


def elements(array: Array) -> list[int]:
    if "values" in array:
        return list(array["values"])
    a, b, m, c = array["rule"]
    return [(a * i + b) % m + c for i in range(prod(array["shape"]))]


def requantised(accumulator: int, multiplier: int, shift: int, low: int, high: int) -> int:
    """floor((acc M + 2^(s-1)) / 2^s), clamped."""
    assert abs(accumulator) <= 2**31 - 1
    assert abs(accumulator) * multiplier + 2 ** (shift - 1) <= 2**53
    return max(low, min(high, (accumulator * multiplier + 2 ** (shift - 1)) // 2**shift))


def finished(totals: Value, law: dict[str, Any] | None) -> Value:
    """Accumulators of shape (channels, ...) after the law, if there is one."""
    shape, numbers = totals
    if law is None:
        return totals
    multipliers, shifts = elements(law["multiplier"]), elements(law["shift"])
    size = prod(shape[1:])
    pairs = [(c if len(multipliers) > 1 else 0) for c in range(shape[0]) for _ in range(size)]
    found = [
        requantised(n, multipliers[c], shifts[c], law["low"], law["high"]) for n, c in zip(numbers, pairs, strict=True)
    ]
    return shape, found


def at(value: Value, channel: int, row: int, column: int) -> int | None:
    (_, height, width), numbers = value
    if 0 <= row < height and 0 <= column < width:
        return numbers[(channel * height + row) * width + column]
    return None


def places(op: dict[str, Any], value: Value, kernel: list[int]) -> tuple[int, int, list[list[tuple[int, int]]]]:
    """Rows and columns of the result, and for each place the (row, column) of every tap of its window."""
    (_, height, width), (top, bottom, left, right) = value[0], op["padding"]
    (down, across), (apart, beside) = op["stride"], op.get("dilation", [1, 1])
    rows = [r for r in range(-top, height + bottom, down) if r + apart * (kernel[0] - 1) < height + bottom]
    columns = [c for c in range(-left, width + right, across) if c + beside * (kernel[1] - 1) < width + right]
    taps = list(product(range(kernel[0]), range(kernel[1])))
    seen = [[(r + apart * i, c + beside * j) for i, j in taps] for r, c in product(rows, columns)]
    return len(rows), len(columns), seen


def with_residual(op: dict[str, Any], totals: Value, values: list[Value]) -> Value:
    if op["residual"] is None:
        return totals
    shape, numbers = totals
    factors, (other, added) = elements(op["residual"]["factor"]), values[op["residual"]["source"]]
    assert other == shape
    return shape, [n + factors[i // prod(shape[1:])] * added[i] for i, n in enumerate(numbers)]


def conv(op: dict[str, Any], values: list[Value]) -> Value:
    value, weights, bias = values[op["source"]], elements(op["weight"]), elements(op["bias"])
    outputs, inputs, *kernel = op["weight"]["shape"]
    rows, columns, seen = places(op, value, kernel)
    taps, numbers = kernel[0] * kernel[1], []
    for o in range(outputs):
        first = o // (outputs // op["groups"]) * inputs
        for window in seen:
            total = bias[o]
            for i in range(inputs):
                for tap, (row, column) in enumerate(window):
                    total += weights[(o * inputs + i) * taps + tap] * (at(value, first + i, row, column) or 0)
            numbers.append(total)
    return finished(with_residual(op, ((outputs, rows, columns), numbers), values), op["requantise"])


def linear(op: dict[str, Any], values: list[Value]) -> Value:
    numbers, weights, bias = values[op["source"]][1], elements(op["weight"]), elements(op["bias"])
    outputs, features = op["weight"]["shape"]
    totals = [bias[o] + sum(weights[o * features + f] * numbers[f] for f in range(features)) for o in range(outputs)]
    return finished(with_residual(op, ((outputs,), totals), values), op["requantise"])


def pool(op: dict[str, Any], values: list[Value]) -> Value:
    value = values[op["source"]]
    rows, columns, seen = places(op, value, op["kernel"])
    numbers = []
    for channel, window in product(range(value[0][0]), seen):
        inside = [n for row, column in window if (n := at(value, channel, row, column)) is not None]
        numbers.append(max(inside) if op["kind"] == "MaxPool" else sum(inside))
    totals = (value[0][0], rows, columns), numbers
    return totals if op["kind"] == "MaxPool" else finished(totals, op["requantise"])


def moved(op: dict[str, Any], value: Value) -> Value:
    """Pad and Subsample."""
    (channels, height, width), _ = value
    if op["kind"] == "Subsample":
        rows, columns = range(0, height, op["stride"][0]), range(0, width, op["stride"][1])
        kept = [at(value, c, i, j) or 0 for c in range(channels) for i in rows for j in columns]
        return (channels, len(rows), len(columns)), kept
    sides = [range(-b, n + a) for b, n, a in zip(op["before"], value[0], op["after"], strict=True)]
    padded = [(at(value, c, i, j) or 0) if 0 <= c < channels else 0 for c, i, j in product(*sides)]
    return (len(sides[0]), len(sides[1]), len(sides[2])), padded


def step(op: dict[str, Any], values: list[Value], image: list[int]) -> Value:
    kind = op["kind"]
    if kind == "Input":
        centers, size = elements(op["center"]), op["shape"][1] * op["shape"][2]
        return finished((tuple(op["shape"]), [z - centers[i // size] for i, z in enumerate(image)]), op["requantise"])
    if kind in ("Conv", "Linear"):
        return (conv if kind == "Conv" else linear)(op, values)
    if kind in ("MaxPool", "AvgPool"):
        return pool(op, values)
    if kind == "Add":
        (shape, a), (_, b) = (values[source] for source in op["sources"])
        (m, n), half, whole = op["multipliers"], 2 ** (op["shift"] - 1), 2 ** op["shift"]
        totals = [(x * m + y * n + half) // whole for x, y in zip(a, b, strict=True)]
        return shape, [max(op["low"], min(op["high"], total)) for total in totals]
    if kind == "Concat":
        parts = [values[source] for source in op["sources"]]
        return (sum(p[0][0] for p in parts), *parts[0][0][1:]), [n for _, numbers in parts for n in numbers]
    value = values[op["source"]]
    if kind == "Rescale":
        return finished(value, op["requantise"])
    if kind == "Flatten":
        return (len(value[1]),), value[1]
    return moved(op, value)


def logits(operations: list[dict[str, Any]], images: Array) -> list[list[int]]:
    numbers, size, found = elements(images), prod(images["shape"][1:]), []
    for start in range(0, len(numbers), size):
        values: list[Value] = []
        for op in operations:
            values.append(step(op, values, numbers[start : start + size]))
        found.append(values[-1][1])
    return found


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(operations: list[dict[str, Any]]) -> str:
    """SHA-256 of the law's version and of every operation without its name, arrays as SHA-256 of type, shape, bytes."""
    text = canonical({"law": 1})
    for op in operations:
        form = {key: formed(value) for key, value in op.items() if key != "name"}
        for part in ("requantise", "residual"):
            if form.get(part) is not None:
                form[part]["kind"] = part.capitalize()
        text += canonical(form)
    return hashlib.sha256(text).hexdigest()


def formed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "dtype" not in value:
        return {key: formed(inner) for key, inner in value.items()}
    code, name = {"int8": ("b", "|i1"), "uint8": ("B", "|u1"), "int32": ("i", "<i4")}[value["dtype"]]
    numbers = elements(value)
    raw = struct.pack(f"<{len(numbers)}{code}", *numbers)
    return hashlib.sha256(canonical({"dtype": name, "shape": value["shape"]}) + b"\0" + raw).hexdigest()
