"""idx files, plain and gzipped; truthful and lying."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holdfast.data.idx import read_idx, read_idx_pair
from holdfast.errors import DataFileError

HEAD = b"\0\0\x08"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_pair(tmp_path: Path, formats: SimpleNamespace, pack: type) -> None:
    pixels, labels = formats.images(4, (3, 5)), np.array([3, 1, 0, 2], dtype=np.uint8)
    a = formats.write(tmp_path / "i", pack(formats.idx(pixels)))
    b = formats.write(tmp_path / "l", pack(formats.idx(labels)))
    got, classes = read_idx_pair(a, b)
    assert got.dtype == np.uint8
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(got, pixels[:, None])
    np.testing.assert_array_equal(classes, labels)


def test_pair_must_belong_together(tmp_path: Path, formats: SimpleNamespace) -> None:
    a = formats.write(tmp_path / "i", formats.idx(formats.images(4, (3, 5))))
    b = formats.write(tmp_path / "l", formats.idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataFileError, match=r"holds 4 images but .* holds 3 labels"):
        read_idx_pair(a, b)
    with pytest.raises(DataFileError, match="images and labels exchanged"):
        read_idx_pair(b, a)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off inside the idx header"),
        (HEAD + b"\x03\0\0", "cut off inside the idx header"),
        (b"PK\x03\x04" + bytes(20), "not an idx file"),
        (b"\0\0\x0d\x03" + bytes(20), "value type 0x0d"),
        (HEAD + b"\x01" + bytes(20), "1 dimensions where 3"),
        (HEAD + b"\x03" + struct.pack(">3I", 0, 28, 28), "is empty"),
        (HEAD + b"\x03" + struct.pack(">3I", 2, 2, 2) + bytes(7), "declares 8"),
        (HEAD + b"\x03" + struct.pack(">3I", 2, 2, 2) + bytes(9), "more than the 8|holds 9"),
        (HEAD + b"\x03" + struct.pack(">3I", *[2**32 - 1] * 3) + bytes(9), "at most"),
        (HEAD + b"\x03" + struct.pack(">3I", 60000, 512, 512) + bytes(9), "cannot hold|holds 9"),
    ],
)
def test_lies_are_refused(tmp_path: Path, formats: SimpleNamespace, pack: type, content: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read_idx(formats.write(tmp_path / "x", pack(content)), 3)


def test_a_bomb_is_refused(tmp_path: Path, formats: SimpleNamespace) -> None:
    bomb = gzip.compress(HEAD + b"\x03" + struct.pack(">3I", 100_000, 28, 28) + bytes(100_000 * 784), 6)
    with pytest.raises(DataFileError, match="decompression bomb"):
        read_idx(formats.write(tmp_path / "x.gz", bomb), 3)


def test_damaged_gzip(tmp_path: Path, formats: SimpleNamespace) -> None:
    whole = gzip.compress(formats.idx(formats.images(4, (3, 5))))
    for broken in (whole[:-9], whole[:-8] + bytes(8), whole[:20] + b"\xff\xff" + whole[22:]):
        with pytest.raises(DataFileError, match=r"damaged|cannot be read|cut off"):
            read_idx(formats.write(tmp_path / "x.gz", broken), 3)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="not a regular file"):
        read_idx(tmp_path, 3)
    with pytest.raises(DataFileError, match="No such file"):
        read_idx(tmp_path / "none", 3)
