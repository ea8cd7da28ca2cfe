"""The publishers' own files, where HOLDFAST_DATA leads to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import find, load

pytestmark = pytest.mark.shared_data

Genuine = Callable[[str], Path]

FIRST = {"mnist": [7, 2, 1, 0, 4], "fashion-mnist": [9, 2, 1, 1, 6], "cifar10": [3, 8, 8, 0, 6]}
FIRST_TRAIN = {"mnist": [5, 0, 4, 1, 9], "fashion-mnist": [9, 0, 0, 3, 0], "cifar10": [6, 9, 9, 4, 1]}


@pytest.mark.parametrize(
    ("name", "file", "train"),
    [
        ("mnist", "mnist/t10k-images-idx3-ubyte", 60_000),
        ("fashion-mnist", "fashion_mnist/t10k-images-idx3-ubyte", 60_000),
        ("cifar10", "cifar-10-batches-py/test_batch", 50_000),
    ],
)
def test_complete_sets(genuine: Genuine, name: str, file: str, train: int) -> None:
    genuine(file)
    assert find(name, verify=True).available == ("train", "test")
    for split, count, first in (("train", train, FIRST_TRAIN[name]), ("test", 10_000, FIRST[name])):
        data = load(name, split)
        assert len(data) == count
        assert data.labels[:5].tolist() == first
        assert np.bincount(data.labels).min() >= count // 10 * 0.89
        assert 20 < data.images[::50].mean() < 130


def test_cifar10_reads_fast(genuine: Genuine) -> None:
    """A batch of 30 MB in less than half a second: the best of three, since the machine may be busy."""
    genuine("cifar-10-batches-py/test_batch")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        load("cifar10", "test")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_caltech101(genuine: Genuine, tmp_path: Path) -> None:
    """Some classes of the genuine images, through a list of their own."""
    root = genuine("caltech101/test.txt").parent
    lines = [line for line in (root / "test.txt").read_text().splitlines() if line.startswith(("ant/", "Faces/"))]
    for name in ("ant", "Faces"):
        (tmp_path / name).symlink_to(root / name)
    (tmp_path / "test.txt").write_text("\n".join(lines))
    data = load(tmp_path, "test")
    assert (len(data), data.shape, data.classes) == (20, (3, 224, 224), ("Faces", "ant"))
    assert data.labels.sum() == 10


def test_part_of_svhn_by_path(genuine: Genuine) -> None:
    data = load(genuine("svhn_partial/first_1083.npz"), "train")
    assert (len(data), data.shape, data.num_classes) == (1083, (3, 32, 32), 10)
    assert data.labels[:5].tolist() == [1, 9, 2, 3, 2]
