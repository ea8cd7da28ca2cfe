"""Plain numeric arrays from MATLAB 5 files, bounded at every step.

A small reader of its own, because a general one decompresses whatever a file declares and builds cells, structs and
objects. Here only little-endian files (as all current programs write) and full numeric arrays are read, and a declared
size is checked against the bytes that are there before memory is taken.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import check_declared_size, file_size, fill, reading
from holdfast.errors import DataFileError

__all__ = ["read_mat5"]

KIND = "a MATLAB 5 file"
MATRIX, COMPRESSED = 14, 15
TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse"}
_PIECE = 1 << 16


class _Bytes(Protocol):
    """A source of the bytes of one element; ``stored`` is what the file has for them."""

    stored: int
    compressed: bool

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes, or fewer at the end."""

    def at_end(self) -> bool:
        """Whether nothing but padding is left; checks the checksum of what is compressed."""


class _Plain:
    compressed = False

    def __init__(self, stream: BinaryIO, stored: int) -> None:
        self.stream, self.stored, self.left = stream, stored, stored

    def read(self, count: int) -> bytes:
        data = self.stream.read(min(count, self.left))
        self.left -= len(data)
        return data

    def at_end(self) -> bool:
        return self.left < 8


class _Inflated:
    compressed = True

    def __init__(self, stream: BinaryIO, stored: int) -> None:
        self.source, self.stored, self.inflate = _Plain(stream, stored), stored, zlib.decompressobj()

    def read(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count and not self.inflate.eof:
            feed = self.inflate.unconsumed_tail or self.source.read(_PIECE)
            piece = self.inflate.decompress(feed, count - len(out))
            if not piece and not feed:
                break
            out += piece
        return bytes(out)

    def at_end(self) -> bool:
        return len(self.read(8)) < 8 and self.inflate.eof


def read_mat5(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read numeric arrays from a MATLAB 5 file (MATLAB's ``-v6`` and ``-v7``).

    Args:
        path: the file.
        names: the variables to read; all must be there.

    Returns:
        Arrays by name, in the type they are stored in, in column-major order as MATLAB has them.

    Raises:
        DataFileError: not such a file, damaged, a variable is missing or is not a plain numeric array.
    """
    size = file_size(path, KIND)
    found: dict[str, NDArray[Any]] = {}
    with reading(path, KIND), path.open("rb") as stream:
        _check_header(path, stream.read(128))
        while stream.tell() < size and len(found) < len(names):
            _element(path, stream, size, names, found)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataFileError(f"{path}: has no array {missing[0]!r}")
    return found


def _check_header(path: Path, head: bytes) -> None:
    if head.startswith(b"MATLAB 7.3"):
        raise DataFileError(f"{path}: a MATLAB 7.3 (HDF5) file; save it with -v7")
    if len(head) < 128 or head[124:] != b"\x00\x01IM":
        raise DataFileError(f"{path}: not a little-endian MATLAB 5 file")


def _element(path: Path, stream: BinaryIO, size: int, names: tuple[str, ...], found: dict[str, NDArray[Any]]) -> None:
    kind, count = struct.unpack("<II", stream.read(8))
    end = stream.tell() + count
    if kind not in (MATRIX, COMPRESSED) or end > size:
        raise DataFileError(f"{path}: damaged or cut off at byte {stream.tell() - 8}")
    source: _Bytes = _Plain(stream, count)
    if kind == COMPRESSED:
        source = _Inflated(stream, count)
        if struct.unpack("<II", source.read(8))[0] != MATRIX:
            raise DataFileError(f"{path}: damaged (something compressed that is not an array)")
    flags, dims, name = _small(path, source, 6), _small(path, source, 5), _small(path, source, 1)
    text = name.decode("ascii", "backslashreplace")
    if text in names and text not in found:
        found[text] = _values(f"{path}, array {text!r}", source, _shape(f"{path}, array {text!r}", flags, dims))
    stream.seek(end)


def _shape(where: str, flags: bytes, dims: bytes) -> tuple[int, ...]:
    if len(flags) != 8 or not 6 <= flags[0] <= 15 or flags[1] & 0x08:
        what = CLASSES.get(flags[0] if flags else 0, "complex or unknown")
        raise DataFileError(f"{where}: a {what} array; only plain numbers are read")
    shape = struct.unpack(f"<{len(dims) // 4}i", dims[: len(dims) // 4 * 4])
    if not 2 <= len(shape) <= 8 or min(shape) < 1:
        raise DataFileError(f"{where}: has the shape {shape}")
    return shape


def _tag(where: Path | str, source: _Bytes) -> tuple[int, int, bytes]:
    """Type and size of a part; a part of at most four bytes comes within its tag."""
    head = source.read(8)
    kind, count = struct.unpack("<II", head)
    if not kind >> 16:
        return kind, count, b""
    kind, count = kind & 0xFFFF, kind >> 16
    if count > 4:
        raise DataFileError(f"{where}: damaged (a short part longer than four bytes)")
    return kind, count, head[4 : 4 + count]


def _small(path: Path, source: _Bytes, expected: int) -> bytes:
    """A part that describes the array: its flags, dimensions or name."""
    kind, count, data = _tag(path, source)
    if kind != expected or count > 256:
        raise DataFileError(f"{path}: damaged (an array without flags, dimensions and name)")
    if count and not data:
        data = source.read(count)
        source.read(-count % 8)
    return data


def _values(where: str, source: _Bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    kind, count, data = _tag(where, source)
    if kind not in TYPES:
        raise DataFileError(f"{where}: stored as type {kind}; only plain numbers are read")
    dtype = np.dtype(TYPES[kind])
    if count != math.prod(shape) * dtype.itemsize:
        raise DataFileError(f"{where}: declares the shape {shape} but {count} bytes; damaged")
    if not data:
        stored = source.stored if source.compressed else min(count, source.stored)
        check_declared_size(where, count, stored, compressed=source.compressed)
    values = np.empty(shape, dtype=dtype, order="F")
    values.reshape(-1, order="F").view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    fill(where, source.read, values, done=len(data))
    if not source.at_end():
        raise DataFileError(f"{where}: has something after its {count} bytes; damaged or cut off")
    return values
