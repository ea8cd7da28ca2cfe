"""Opening files that may be hostile: size limits, and one way of saying what is wrong with a file."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataFileError

__all__ = ["MAX_ARRAY_BYTES", "check_declared_size", "file_size", "fill", "read_whole", "reading"]

MAX_ARRAY_BYTES = 16 * 2**30
"""No array that a file declares may be larger (the ImageNet validation set at 3x224x224 has 7.0 GiB)."""

DEFLATE_RATIO = 1032
"""Deflate cannot expand a byte to more than this many."""

BOMB_RATIO = 200
"""Above :data:`BOMB_BYTES`, compressed data that expands more than this is refused: images never compress that well."""

BOMB_BYTES = 64 * 2**20

PIECE = 1 << 20


@contextmanager
def reading(path: Path | str, kind: str) -> Iterator[None]:
    """Turn what the standard library raises on a broken file into a :class:`DataFileError` that names the file.

    Args:
        path: the file, for the message.
        kind: what it should be, with its article: ``an idx file``.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, NotImplementedError) as error:
        raise DataFileError(f"{path}: not {kind}, or damaged ({error}); get the file again") from error
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read as {kind} ({error})") from error


def file_size(path: Path, kind: str) -> int:
    """Bytes of a regular file.

    Raises:
        DataFileError: there is no such file, or it is a directory, a pipe or a device.
    """
    with reading(path, kind):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataFileError(f"{path}: expected {kind}, but this is not a regular file")
    return status.st_size


def read_whole(path: Path, kind: str, limit: int) -> bytes:
    """All bytes of a regular file that may have at most ``limit`` bytes.

    Raises:
        DataFileError: the file is missing, not regular, too large, or cannot be read.
    """
    size = file_size(path, kind)
    if size > limit:
        raise DataFileError(f"{path}: {size} bytes are too many for {kind} (at most {limit}); this is another file")
    with reading(path, kind):
        return path.read_bytes()


def check_declared_size(where: Path | str, declared: int, stored: int, *, compressed: bool) -> None:
    """Refuse, before anything is allocated, an array whose declared size cannot be honest or is out of bounds.

    Args:
        where: the file, and the part of it.
        declared: bytes the array would take.
        stored: bytes the file has for it.
        compressed: whether the stored bytes are deflated; if not, both numbers must agree.

    Raises:
        DataFileError: the size is refused; the message gives both numbers.

    Example:
        >>> check_declared_size("x.npz", 10**9, 10**6, compressed=True)
        Traceback (most recent call last):
        holdfast.errors.DataFileError: x.npz: 1000000 bytes that expand to 1000000000 are a decompression bomb; refused
    """
    if declared > MAX_ARRAY_BYTES:
        raise DataFileError(f"{where}: declares {declared} bytes; at most {MAX_ARRAY_BYTES} are read at once")
    if not compressed:
        if declared != stored:
            raise DataFileError(f"{where}: declares {declared} bytes but holds {stored}; damaged or cut off")
        return
    if declared > DEFLATE_RATIO * stored + DEFLATE_RATIO:
        raise DataFileError(f"{where}: {stored} compressed bytes cannot hold the {declared} that are declared")
    if declared > BOMB_BYTES and declared > BOMB_RATIO * stored:
        raise DataFileError(f"{where}: {stored} bytes that expand to {declared} are a decompression bomb; refused")


def fill(where: Path | str, read: Callable[[int], bytes], values: NDArray[Any], done: int = 0) -> None:
    """Fill an array with bytes, in the order they lie in memory.

    Args:
        where: the file, for the message.
        read: returns at most so many bytes, and none at the end.
        values: a contiguous array.
        done: bytes that are there already.

    Raises:
        DataFileError: there are too few bytes.
    """
    flat = values.reshape(-1, order="A").view(np.uint8).data
    while done < len(flat):
        piece = read(min(PIECE, len(flat) - done))
        if not piece:
            raise DataFileError(f"{where}: declares {len(flat)} bytes but holds only {done}; damaged or cut off")
        flat[done : done + len(piece)] = piece
        done += len(piece)
