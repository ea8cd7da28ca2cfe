""".npz archives: what is read, how splits and axes are found, and what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from holdfast.data import files, load
from holdfast.data.npz import npz_names, read_npz
from holdfast.errors import DataFileError

LABELS = np.array([0, 2, 1], np.uint8)


@pytest.fixture
def pixels(formats: SimpleNamespace) -> np.ndarray:
    return formats.images(3, (3, 4, 5))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5),
        np.array(3.5),
        np.array([True, False]),
        np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        np.array(["ab", "c"]),
        np.arange(4, dtype="<f2"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path: Path, array: np.ndarray, save: Any) -> None:
    save(tmp_path / "x.npz", a=array, b=1)
    got = read_npz(tmp_path / "x.npz", ("a",), ("c",))
    assert npz_names(tmp_path / "x.npz") == ("a", "b")
    assert list(got) == ["a"]
    assert got["a"].dtype == array.dtype
    np.testing.assert_array_equal(got["a"], array)


def test_format_versions_2_and_3(tmp_path: Path) -> None:
    for version in ((2, 0), (3, 0)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.arange(3), version=version)
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("a.npy", buffer.getvalue())
        assert read_npz(tmp_path / "x.npz", ("a",))["a"].tolist() == [0, 1, 2]


def test_images_and_labels_are_whatever_split_is_asked_for(tmp_path: Path, pixels: np.ndarray) -> None:
    np.savez_compressed(tmp_path / "mine.npz", images=pixels, labels=LABELS)
    for split in ("train", "test"):
        data = load(tmp_path / "mine.npz", split)
        assert (data.name, data.split, data.classes) == ("mine", split, ("0", "1", "2"))
        np.testing.assert_array_equal(data.images, pixels)
        np.testing.assert_array_equal(data.labels, LABELS)


def test_splits_and_class_names(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "mine.npz"
    arrays = {"train_images": pixels, "train_labels": LABELS, "test_images": pixels[:1], "test_labels": LABELS[:1]}
    np.savez(path, **arrays)
    assert load(str(path), "test").num_classes == 3  # the labels of all splits count
    np.savez(path, **arrays, classes=np.array(["x", "y", "z", "never"]))
    assert load(str(path), "test").classes == ("x", "y", "z", "never")
    with pytest.raises(DataFileError, match="the splits train, test"):
        load(path, "valid")


def test_order_of_axes(tmp_path: Path, pixels: np.ndarray) -> None:
    for stored in (pixels, pixels.transpose(0, 2, 3, 1)):
        np.savez(tmp_path / "x.npz", images=stored, labels=LABELS)
        np.testing.assert_array_equal(load(tmp_path / "x.npz").images, pixels)
    np.savez(tmp_path / "x.npz", images=pixels[:, 0], labels=LABELS)
    np.testing.assert_array_equal(load(tmp_path / "x.npz").images, pixels[:, :1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": LABELS}, "needs arrays 'images' and 'labels'.* it has the arrays labels"),
        ({"images": np.zeros((3, 1, 2, 2), np.uint8)}, "no array 'labels'"),
        ({"images": np.zeros((3, 1, 2, 2)), "labels": LABELS}, "uint8 grey levels 0 to 255, not float64"),
        ({"images": np.zeros((3, 4), np.uint8), "labels": LABELS}, r"\(N, C, H, W\), not \(3, 4\)"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS[:2]}, "3 images"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS * 1.0}, "must be integers"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS[:, None]}, "must be integers"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": -LABELS.astype(int)}, "label -2 of image 1"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS.astype(int) - 5}, "largest label is -3"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS.astype(int) * 2**40}, "0 to 65535"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS, "classes": np.arange(3)}, "must be text"),
        ({"images": np.zeros((3, 2, 2), np.uint8), "labels": LABELS, "classes": np.array(["a"])}, "outside the 1 cl"),
        ({"images": np.zeros((0, 2, 2), np.uint8), "labels": LABELS[:0]}, "is empty"),
        ({"images": np.array([1, None], object), "labels": LABELS}, "not an array of plain numbers"),
        ({"images": np.zeros(3, [("x", "u1")]), "labels": LABELS}, "not an array of plain numbers"),
        ({"images": np.zeros(3, complex), "labels": LABELS}, "not an array of plain numbers"),
        ({"images": np.zeros(3, "S3"), "labels": LABELS}, "not an array of plain numbers"),
    ],
)
def test_refused_arrays(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataFileError, match=message):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize(("point", "message"), [(0xFFFFFFFF, "not text"), (0xD800, "not text"), (27, "printable")])
def test_text_that_is_no_text(tmp_path: Path, pixels: np.ndarray, point: int, message: str) -> None:
    names = np.array(["aaa", "bbb", "ccc"])
    names.view(np.uint32)[0] = point
    for stored in (names, names.byteswap().view(names.dtype.newbyteorder())):
        np.savez(tmp_path / "x.npz", images=pixels, labels=LABELS, classes=stored)
        with pytest.raises(DataFileError, match=message):
            load(tmp_path / "x.npz")


def member(shape: str = "(3, 2, 2)", descr: str = "'|u1'", body: bytes = bytes(12), extra: str = "") -> bytes:
    """An .npy file with a header of one's choice."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an .npy array"),
        (b"\x80\x04N.", "not an .npy array"),
        (b"\x93NUMPY\x09\x00" + bytes(20), "not an .npy array"),
        (b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\xff", "header of 4294967295 bytes"),
        (member(body=bytes(11)), "declares 12 bytes but holds 11"),
        (member(body=bytes(13)), "declares 12 bytes but holds 13"),
        (member("(99999999999, 2, 2)"), "at most"),
        (member("(999999999999999999, 999999999999999999)"), "at most"),
        (member("(0, 999999999999999999, 999999999999999999)", body=b""), "is empty"),
        (member("(-3, 2, 2)"), "plain numbers"),
        (member("[3, 2, 2]"), "plain numbers"),
        (member("(3, 2, __import__('os').system('true'))"), "plain numbers"),
        (member(extra="'x': 1, "), "plain numbers"),
        (member(descr="'|O'"), "plain numbers"),
        (member(descr="'|b8'"), "plain numbers"),
        (member(descr="'<U0'"), "plain numbers"),
        (member("(" + "(" * 5000 + ")" * 5000 + ")"), "header of|plain numbers"),
    ],
)
def test_hostile_members(tmp_path: Path, content: bytes, message: str, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", member("(3,)", body=bytes(3)))
    with pytest.raises(DataFileError, match=message):
        load(tmp_path / "x.npz")


def test_an_honest_bomb_is_refused(tmp_path: Path) -> None:
    body = bytes(80_000_000)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", member("(80000, 1000)", body=body))
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(DataFileError, match="decompression bomb"):
        read_npz(tmp_path / "x.npz", ("images",))


@pytest.mark.parametrize("size", [2**31, 2**34 - 64])
def test_lying_directories_are_refused_before_memory_is_taken(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zip directory declares sizes that the file cannot have."""
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((3, 2, 2), np.uint8))

    def lie(self: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
        entry = self.NameToInfo[name]
        entry.file_size = entry.compress_size = size
        return entry

    monkeypatch.setattr(zipfile.ZipFile, "getinfo", lie)
    monkeypatch.setattr(np, "empty", None)
    with pytest.raises(DataFileError, match=f"declares {size} compressed bytes in a file of"):
        read_npz(path, ("images",))


def test_other_archives_are_refused(tmp_path: Path, formats: SimpleNamespace) -> None:
    for content in (b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)[:10], np.arange(9).tobytes()):
        with pytest.raises(DataFileError, match=r"not an .npz archive, or damaged"):
            npz_names(formats.write(tmp_path / "x.npz", content))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("images.npy", member())
    with pytest.raises(DataFileError, match="another method than deflate"):
        read_npz(tmp_path / "x.npz", ("images",))


def test_flipped_bits_are_noticed(tmp_path: Path, pixels: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", images=pixels, labels=LABELS)
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    at = whole.index(pixels.tobytes())
    whole[at + 7] ^= 1
    (tmp_path / "x.npz").write_bytes(whole)
    with pytest.raises(DataFileError, match="CRC"):
        load(tmp_path / "x.npz")


def test_declared_sizes() -> None:
    files.check_declared_size("x", 10, 10, compressed=False)
    files.check_declared_size("x", 1000, 10, compressed=True)
    for declared, stored, compressed in ((10, 11, False), (10**5, 10, True), (2**35, 2**35, False)):
        with pytest.raises(DataFileError):
            files.check_declared_size("x", declared, stored, compressed=compressed)
