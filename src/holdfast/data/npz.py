"""``.npz`` archives with ``images`` and ``labels``, read without trusting a single declared size.

An ``.npz`` is a zip of ``.npy`` files. The sizes in the zip directory and in the array header are compared with each
other, with the bytes that are there and with the limits before memory is taken. The header is matched against the one
form numpy writes, not evaluated; object arrays, and with them pickles, do not match.
"""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import check_declared_size, file_size, fill, reading
from holdfast.errors import DataFileError

__all__ = ["npz_names", "read_npz"]

KIND = "an .npz archive"

_HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^'\\]{1,32})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:[0-9]{1,18}L?(?:, ?|,?(?=\)))){0,32})\), \} *\n"
)
_PLAIN = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|U[1-9][0-9]{0,3})")


def npz_names(path: Path) -> tuple[str, ...]:
    """Names of the arrays in an ``.npz``.

    Raises:
        DataFileError: the file is missing or not a zip archive.
    """
    file_size(path, KIND)
    with reading(path, KIND), zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def read_npz(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """Read arrays from an ``.npz``.

    Args:
        path: the file.
        names: arrays that must be there.
        optional: arrays to read if they are there.

    Returns:
        The arrays by name: booleans, integers, floats or text, never objects.

    Raises:
        DataFileError: the archive or an array is refused (see the module's text), or an array is missing.
    """
    found, room = npz_names(path), file_size(path, KIND)
    lacking = [name for name in names if name not in found]
    if lacking:
        raise DataFileError(f"{path}: has no array {lacking[0]!r}, only {', '.join(found[:20]) or 'nothing'}")
    wanted = (*names, *(name for name in optional if name in found))
    with reading(path, KIND), zipfile.ZipFile(path) as archive:
        return {name: _read_member(f"{path}, array {name!r}", archive, name, room) for name in wanted}


def _read_member(where: str, archive: zipfile.ZipFile, name: str, room: int) -> NDArray[Any]:
    entry = archive.getinfo(name if name in archive.namelist() else name + ".npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise DataFileError(f"{where}: encrypted or compressed by another method than deflate; save it with numpy")
    compressed = entry.compress_type == zipfile.ZIP_DEFLATED
    if entry.compress_size > room:
        raise DataFileError(f"{where}: declares {entry.compress_size} compressed bytes in a file of {room}")
    check_declared_size(where, entry.file_size, entry.compress_size, compressed=compressed)
    with archive.open(entry) as stream:
        header_size, dtype, shape, fortran = _header(where, stream)
        check_declared_size(where, math.prod(shape) * dtype.itemsize, entry.file_size - header_size, compressed=False)
        values = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
        fill(where, stream.read, values)
        stream.read(1)  # at the end zipfile checks the CRC
    return values


def _header(where: str, stream: IO[bytes]) -> tuple[int, np.dtype[Any], tuple[int, ...], bool]:
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise DataFileError(f"{where}: not an .npy array (it begins with {magic.hex()})")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > 10_000:
        raise DataFileError(f"{where}: an array header of {length} bytes; refused")
    text = stream.read(length).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if not found or not _PLAIN.fullmatch(found["descr"]):
        raise DataFileError(f"{where}: not an array of plain numbers or text ({text[:120].strip()!r}); refused")
    shape = tuple(int(n.strip().removesuffix("L")) for n in found["shape"].split(",") if n.strip())
    if 0 in shape:
        raise DataFileError(f"{where}: is empty (shape {shape})")
    return 8 + width + length, np.dtype(found["descr"]), shape, found["fortran"] == "True"
