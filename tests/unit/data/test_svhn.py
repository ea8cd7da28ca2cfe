"""SVHN's MATLAB files, written by SciPy; and other MATLAB files, which are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from holdfast.data import load
from holdfast.data.mat5 import read_mat5
from holdfast.data.svhn import read_svhn
from holdfast.errors import DataFileError

LABELS = np.array([[1], [10], [9]], np.uint8)


@pytest.fixture
def pixels(formats: SimpleNamespace) -> np.ndarray:
    return formats.images(3, (3, 32, 32))


def as_published(pixels: np.ndarray) -> np.ndarray:
    """(32, 32, 3, N)."""
    return pixels.transpose(2, 3, 1, 0)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int16])
def test_split(tmp_path: Path, pixels: np.ndarray, compressed: bool, dtype: type) -> None:
    (tmp_path / "svhn").mkdir()
    path = tmp_path / "svhn/test_32x32.mat"
    savemat(path, {"X": as_published(pixels), "y": LABELS.astype(dtype)}, do_compression=compressed)
    data = load("svhn", "test", tmp_path)
    np.testing.assert_array_equal(data.images, pixels)
    assert data.labels.tolist() == [1, 0, 9]
    assert data.classes[0] == "0"


def test_the_order_of_variables_does_not_matter(tmp_path: Path, pixels: np.ndarray) -> None:
    savemat(tmp_path / "x.mat", {"y": LABELS, "other": {"a": 1}, "text": "t", "X": as_published(pixels)})
    np.testing.assert_array_equal(read_svhn(tmp_path / "x.mat")[0], pixels)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", "<u2", "<i4", "<u4", "<f4", "<f8", "<i8", "<u8"])
def test_arrays_agree_with_scipy(tmp_path: Path, compressed: bool, dtype: str) -> None:
    arrays = {"a": np.arange(24, dtype=dtype).reshape(2, 3, 4), "b": np.array([[7]], dtype)}
    savemat(tmp_path / "x.mat", arrays, do_compression=compressed)
    ours, theirs = read_mat5(tmp_path / "x.mat", ("a", "b")), loadmat(tmp_path / "x.mat")
    for name in arrays:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"y": LABELS}, "no array 'X'"),
        ({"X": np.zeros((32, 32, 3, 3))}, "no array 'y'"),
        ({"X": np.zeros((32, 32, 3, 3)), "y": LABELS}, "must be uint8"),
        ({"X": np.zeros((32, 32, 3), np.uint8), "y": LABELS}, r"\(32, 32, 3, N\)"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": LABELS}, "a label for each of 2 images"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": LABELS * 0}, "1 to 10"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": LABELS + 1}, "1 to 10"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": LABELS * 0.5}, "1 to 10"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": LABELS * np.nan}, "1 to 10"),
        ({"X": np.array([["a", 1]], object), "y": LABELS}, "a cell array"),
        ({"X": {"a": 1}, "y": LABELS}, "a struct array"),
        ({"X": "text", "y": LABELS}, "a char array"),
        ({"X": np.zeros((2, 2), complex) + 1j, "y": LABELS}, "complex"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, variables: dict[str, Any], message: str) -> None:
    for compressed in (True, False):
        savemat(tmp_path / "x.mat", variables, do_compression=compressed)
        with pytest.raises(DataFileError, match=message):
            read_svhn(tmp_path / "x.mat")


HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def matrix(shape: tuple[int, ...], declared: int, body: bytes, kind: int = 2, name: bytes = b"X\0\0\0") -> bytes:
    """One array whose parts say what one likes."""
    dims = struct.pack(f"<{len(shape)}i", *shape)
    parts = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<II", 5, len(dims)) + dims + bytes(-len(dims) % 8)
    parts += struct.pack("<HH", 1, 1) + name + struct.pack("<II", kind, declared) + body
    return struct.pack("<II", 14, len(parts)) + parts


def packed(data: bytes, cut: int = 0, flip: int = 0) -> bytes:
    small = bytearray(zlib.compress(data))
    small[-1] ^= flip
    del small[len(small) - cut :]
    return struct.pack("<II", 15, len(small)) + small


@pytest.mark.parametrize("pack", [bytes, packed], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    ("element", "message"),
    [
        (matrix((4, 4), 16, bytes(15)), "declares 16 bytes but holds (only )?15"),
        (matrix((4, 4), 17, bytes(17)), "declares the shape"),
        (matrix((4, -4), 16, bytes(16)), "has the shape"),
        (matrix((4,), 4, bytes(4)), "has the shape"),
        (matrix((2**31 - 1, 2**31 - 1), 16, bytes(16)), "declares the shape"),
        (matrix((2**16, 2**15), 2**31, bytes(16)), "declares 2147483648|cannot hold"),
        (matrix((4, 4), 16, bytes(16), kind=14), "stored as type 14"),
        (matrix((4, 4), 16, bytes(16), kind=0x50002), "short part longer than four"),
        (struct.pack("<IIQQ", 14, 16, 0, 0), "without flags"),
        (struct.pack("<II", 14, 4) + bytes(4), "damaged|cut off"),
    ],
)
def test_hostile_elements(tmp_path: Path, formats: SimpleNamespace, pack: Any, element: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read_mat5(formats.write(tmp_path / "x.mat", HEAD + pack(element)), ("X",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a little-endian MATLAB 5 file"),
        (b"MATLAB 5.0".ljust(124) + b"\x01\x00MI", "not a little-endian"),
        (b"MATLAB 7.3 MAT-file".ljust(128), "save it with -v7"),
        (HEAD, "no array 'X'"),
        (HEAD + b"\x0e", "damaged"),
        (HEAD + struct.pack("<II", 14, 2**32 - 1), "damaged or cut off at byte 128"),
        (HEAD + struct.pack("<II", 9, 0), "damaged or cut off at byte 128"),
        (HEAD + struct.pack("<II", 15, 4) + b"junk", "damaged"),
        (HEAD + packed(struct.pack("<II", 3, 0)), "compressed that is not an array"),
        (HEAD + packed(matrix((4, 4), 16, bytes(16)), cut=30), "holds only|damaged"),
        (HEAD + packed(matrix((4, 4), 16, bytes(16)), cut=1), "cut off"),
        (HEAD + packed(matrix((4, 4), 16, bytes(16)), flip=1), "incorrect data check"),
        (HEAD + packed(matrix((4, 4), 16, bytes(24))), "something after its 16 bytes"),
        (HEAD + matrix((4, 4), 16, bytes(24)), "something after its 16 bytes"),
        (HEAD + packed(matrix((90_000, 1000), 90_000_000, bytes(90_000_000))), "decompression bomb"),
    ],
    ids=range(15),
)
def test_hostile_files(tmp_path: Path, formats: SimpleNamespace, content: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        read_mat5(formats.write(tmp_path / "x.mat", content), ("X",))
