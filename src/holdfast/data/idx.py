"""The idx format of MNIST and Fashion-MNIST: a magic number, big-endian dimensions, the values; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import check_declared_size, file_size, fill, reading
from holdfast.errors import DataFileError

__all__ = ["read_idx", "read_idx_pair"]

KIND = "an idx file"
UNSIGNED_BYTE = 0x08


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes; gzipped when its first two bytes say so, whatever its name.

    Args:
        path: the file.
        ndim: number of dimensions it must have: 3 for images, 1 for labels.

    Returns:
        uint8, with the dimensions the header declares.

    Raises:
        DataFileError: not an idx file of bytes with ``ndim`` dimensions, or its size is not what its header declares.
            The declared size is checked before anything is allocated.
    """
    size = file_size(path, KIND)
    with reading(path, KIND), path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
        shape = _header(path, stream.read(4 + 4 * ndim), ndim)
        stored = size if compressed else size - 4 - 4 * ndim
        check_declared_size(path, math.prod(shape), stored, compressed=compressed)
        values = np.empty(shape, dtype=np.uint8)
        fill(path, stream.read, values)
        if stream.read(1):
            raise DataFileError(f"{path}: holds more than the {values.size} values its header declares")
    return values


def read_idx_pair(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the two idx files of a split.

    Returns:
        uint8 (N, 1, H, W) and int64 (N,).

    Raises:
        DataFileError: one of the files is refused, or they do not belong together.
    """
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise DataFileError(f"{images} holds {len(pixels)} images but {labels} holds {len(classes)} labels")
    return pixels[:, None], classes.astype(np.int64)


def _header(path: Path, head: bytes, ndim: int) -> tuple[int, ...]:
    if len(head) < 4:
        raise DataFileError(f"{path}: cut off inside the idx header; get the file again")
    if head[:2] != b"\0\0":
        raise DataFileError(f"{path}: not an idx file (it begins with {head[:4].hex()})")
    if head[2] != UNSIGNED_BYTE:
        raise DataFileError(f"{path}: idx value type 0x{head[2]:02x}; only unsigned bytes (0x08) are read")
    if head[3] != ndim:
        raise DataFileError(f"{path}: has {head[3]} dimensions where {ndim} are expected; images and labels exchanged?")
    if len(head) < 4 + 4 * ndim:
        raise DataFileError(f"{path}: cut off inside the idx header; get the file again")
    shape = struct.unpack(f">{ndim}I", head[4:])
    if 0 in shape:
        raise DataFileError(f"{path}: is empty (dimensions {shape})")
    return shape
