"""CIFAR-10 and CIFAR-100 in both published versions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holdfast.data import load
from holdfast.data.cifar import read_cifar_binary, read_cifar_python
from holdfast.errors import DataFileError

SHAPE = (3, 32, 32)


def test_cifar10_python(tmp_path: Path, formats: SimpleNamespace) -> None:
    folder, parts = tmp_path / "cifar-10-batches-py", []
    for k in range(1, 6):
        pixels = formats.images(3, SHAPE, k)
        parts.append(pixels)
        formats.write(folder / f"data_batch_{k}", formats.cifar_batch(pixels, labels=[k, 0, 9]))
    formats.write(folder / "test_batch", formats.cifar_batch(parts[0], labels=[7, 8, 9]))
    train = load("cifar10", "train", tmp_path)
    np.testing.assert_array_equal(train.images, np.concatenate(parts))
    assert train.labels.tolist() == [v for k in range(1, 6) for v in (k, 0, 9)]
    assert [load("cifar10", data_dir=tmp_path).classes[k] for k in (0, 9)] == ["airplane", "truck"]


def test_cifar100_python_has_fine_labels(tmp_path: Path, formats: SimpleNamespace) -> None:
    pixels = formats.images(4, SHAPE)
    batch = formats.cifar_batch(pixels, fine_labels=[99, 0, 50, 3], coarse_labels=[19, 0, 7, 1])
    formats.write(tmp_path / "cifar-100-python/test", batch)
    data = load("cifar100", "test", tmp_path)
    np.testing.assert_array_equal(data.images, pixels)
    assert data.labels.tolist() == [99, 0, 50, 3]
    assert (data.num_classes, data.classes[99]) == (100, "worm")


def test_binary_versions(tmp_path: Path, formats: SimpleNamespace) -> None:
    pixels = formats.images(4, SHAPE)
    rows = pixels.reshape(4, -1)
    fine, coarse = np.array([[9], [0], [5], [3]], np.uint8), np.full((4, 1), 19, np.uint8)
    formats.write(tmp_path / "cifar-10-batches-bin/test_batch.bin", np.hstack([fine, rows]).tobytes())
    formats.write(tmp_path / "cifar-100-binary/test.bin", np.hstack([coarse, fine + 90, rows]).tobytes())
    for name, offset in (("cifar10", 0), ("cifar100", 90)):
        data = load(name, "test", tmp_path)
        np.testing.assert_array_equal(data.images, pixels)
        assert data.labels.tolist() == [9 + offset, offset, 5 + offset, 3 + offset]


def test_binary_and_python_versions_have_one_digest(tmp_path: Path, formats: SimpleNamespace) -> None:
    pixels = formats.images(2, SHAPE)
    rows = np.hstack([np.array([[1], [2]], np.uint8), pixels.reshape(2, -1)])
    formats.write(tmp_path / "a/cifar-10-batches-bin/test_batch.bin", rows.tobytes())
    formats.write(tmp_path / "b/cifar-10-batches-py/test_batch", formats.cifar_batch(pixels, labels=[1, 2]))
    assert load("cifar10", data_dir=tmp_path / "a").digest == load("cifar10", data_dir=tmp_path / "b").digest


@pytest.mark.parametrize(
    ("pixels", "lists", "message"),
    [
        ((2, 3072), {"fine_labels": [1, 2]}, "has 'data' and 'labels'; this file has batch_label, data, filenames"),
        ((2, 3072), {"labels": [1]}, "2 images but 1 labels"),
        ((2, 3071), {"labels": [1, 2]}, r"uint8 of shape \(N, 3072\)"),
        ((2, 3072), {"labels": [1, 10]}, "label 10 of image 1 is outside the 10 classes"),
    ],
)
def test_batches_that_are_not_cifar(
    tmp_path: Path, formats: SimpleNamespace, pixels: tuple[int, ...], lists: dict[str, list[int]], message: str
) -> None:
    batch = formats.cifar_batch(np.zeros(pixels, np.uint8), **lists)
    formats.write(tmp_path / "cifar-10-batches-py/test_batch", batch)
    with pytest.raises(DataFileError, match=message):
        load("cifar10", data_dir=tmp_path)


def test_labels_must_be_integers(tmp_path: Path, formats: SimpleNamespace) -> None:
    good = formats.cifar_batch(np.zeros((2, 3072), np.uint8), labels=[1, 2])
    for bad in (good.replace(b"](K\x01K\x02e", b"](NK\x02e"), good.replace(b"](K\x01K\x02e", b"K\x01")):
        assert bad != good
        with pytest.raises(DataFileError, match="list of integers"):
            read_cifar_python([formats.write(tmp_path / "b", bad)], b"labels")


@pytest.mark.parametrize("size", [0, 3072, 3074, 2 * 3073 - 1])
def test_binary_files_that_are_cut_off(tmp_path: Path, formats: SimpleNamespace, size: int) -> None:
    with pytest.raises(DataFileError, match="not a whole number of images"):
        read_cifar_binary([formats.write(tmp_path / "b", bytes(size))], 1)


def test_files_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.data.cifar.LARGEST", 100)
    (tmp_path / "b").write_bytes(bytes(101))
    for read in (
        lambda: read_cifar_binary([tmp_path / "b"], 1),
        lambda: read_cifar_python([tmp_path / "b"], b"labels"),
    ):
        with pytest.raises(DataFileError, match="101 bytes are too many"):
            read()
