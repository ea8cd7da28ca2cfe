"""The safetensors container for integer tensors: written the same way every time, read as if hostile.

A container is the length of its header (uint64, little-endian), the header (JSON: type, shape and place of every tensor,
and a table of texts under ``__metadata__``), and the tensors' bytes, which fill the rest without gaps.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import canonical_json

__all__ = ["LARGEST_HEADER", "Container", "Damaged", "pack", "parse_json", "shown", "unpack"]

LARGEST_HEADER = 100_000_000
"""Bytes; what other readers of safetensors accept."""
_METADATA = "__metadata__"
_TYPES: dict[str, type[np.int8 | np.uint8 | np.int32]] = {"I8": np.int8, "U8": np.uint8, "I32": np.int32}
_ALIGNMENT = 8
_LONGEST_SHOWN = 70  # a digest in quotes has 66


class Damaged(ValueError):
    """What is wrong with the bytes of a container or with what it holds; the reader of the file adds its name."""


def pack(tensors: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> bytes:
    """The bytes of a container: wide numbers first, otherwise in the given order, so that every tensor is aligned.

    Args:
        tensors: int8, uint8 or int32, by name.
        texts: the entries of ``__metadata__``.

    Guarantee:
        Equal arguments give equal bytes.
    """
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    header: dict[str, Any] = {_METADATA: dict(texts)}
    pieces: list[bytes] = []
    begin = 0
    for name in sorted(tensors, key=lambda name: -tensors[name].itemsize):  # a stable sort
        tensor = tensors[name]
        piece = tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        end = begin + len(piece)
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        pieces.append(piece)
        begin = end
    text = canonical_json(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, *pieces])


@final
@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A container whose header was read and whose tensors were not.

    Attributes:
        texts: the entries of ``__metadata__``.
        entries: what the header says about the tensors, not checked.
        body: the bytes after the header.
    """

    texts: dict[str, str]
    entries: dict[str, Any]
    body: memoryview

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The tensors by name: read-only views of the file's bytes, so that no further memory is taken.

        Raises:
            Damaged: a type that no integer network holds, a place that does not fit, an overlap or a gap.
        """
        tensors: dict[str, NDArray[Any]] = {}
        places: list[tuple[int, int]] = []
        for name, entry in self.entries.items():
            kind, shape, begin, end = _entry(name, entry)
            if not 0 <= begin <= end <= len(self.body) or end - begin != math.prod(shape) * np.dtype(kind).itemsize:
                raise Damaged(f"tensor {shown(name)} of shape {shape} does not fit its place {begin} to {end}")
            raw = np.frombuffer(self.body[begin:end], np.dtype(kind).newbyteorder("<"))
            tensors[name] = np.require(raw.astype(kind, copy=False), requirements="A").reshape(shape)
            places.append((begin, end))
        _require_no_gaps(sorted(places), len(self.body))
        return tensors


def unpack(data: bytes) -> Container:
    """Read the header of a container.

    Raises:
        Damaged: it is cut short, or no JSON, or its metadata are not texts.

    Example:
        >>> found = unpack(pack({"a": np.array([1, -2], np.int8)}, {"about": "two numbers"}))
        >>> found.texts, found.tensors()
        ({'about': 'two numbers'}, {'a': array([ 1, -2], dtype=int8)})
    """
    if len(data) < 8:
        raise Damaged(f"it is cut short: {len(data)} bytes")
    size = int.from_bytes(data[:8], "little")
    if size > min(len(data) - 8, LARGEST_HEADER):
        raise Damaged(f"it claims a header of {size} bytes")
    header = parse_json(data[8 : 8 + size], "its header")
    if not isinstance(header, dict):
        raise Damaged(f"its header is a {type(header).__name__}")
    texts = header.pop(_METADATA, {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise Damaged("its metadata are not texts")
    return Container(texts, header, memoryview(data)[8 + size :])


def _entry(name: str, entry: Any) -> tuple[type[np.int8 | np.uint8 | np.int32], list[int], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise Damaged(f"tensor {shown(name)} needs a dtype, a shape and data_offsets, nothing else")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise Damaged(f"tensor {shown(name)} has type {shown(kind)}, which no integer network holds")
    if not _is_counts(shape) or len(shape) > 8 or 0 in shape:
        raise Damaged(f"tensor {shown(name)} has shape {shown(shape)}")
    if not _is_counts(offsets) or len(offsets) != 2:
        raise Damaged(f"tensor {shown(name)} has data_offsets {shown(offsets)}")
    return _TYPES[kind], shape, offsets[0], offsets[1]


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def _require_no_gaps(places: list[tuple[int, int]], size: int) -> None:
    """Sorted places must follow one another from 0 to the end."""
    expected = 0
    for begin, end in places:
        if begin != expected:
            raise Damaged(f"its tensors overlap or leave a gap at byte {min(begin, expected)} of the data")
        expected = end
    if expected != size:
        raise Damaged(f"it has {size} bytes of data, its tensors {expected}")


def parse_json(text: bytes, what: str) -> Any:
    """JSON without duplicate keys and without numbers that JSON does not have; ``what`` is for the message.

    Raises:
        Damaged: it is not, or it is nested too deeply.
    """
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError:
        raise Damaged(f"{what} is nested too deeply") from None
    except Damaged as problem:
        raise Damaged(f"{what}: {problem}") from None
    except ValueError as problem:
        raise Damaged(f"{what} is no JSON ({problem})") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Damaged(f"{shown(twice)} occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Damaged(f"{shown(text)} is no number")
    return number


def shown(value: Any) -> str:
    """A value from a file as a short piece of one line."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value[:_LONGEST_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
