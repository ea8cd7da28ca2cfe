"""Names and paths: what load finds, where it looks, and what it says when there is nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holdfast.data import SOURCES, data_dirs, find, load
from holdfast.errors import DataFileError, ParameterError

DIGITS_DIGESTS = {
    "train": "2572be9f025a6b47feb2f16838f63c390ccdb946eacd5945b37442c44492436f",
    "test": "a334f4c6411acc808ee210ad849b6d9b0cc1a280aa7d9a14e892628133ec4766",
}


@pytest.mark.parametrize(("split", "count"), [("train", 1297), ("test", 500)])
def test_digits_are_part_of_holdfast(split: str, count: int) -> None:
    data = load("digits", split)
    assert (len(data), data.shape, data.num_classes) == (count, (1, 8, 8), 10)
    assert data.digest == DIGITS_DIGESTS[split]
    assert set(np.unique(data.labels)) == set(range(10))
    assert set(np.unique(data.images)) == {(v * 255 + 8) // 16 for v in range(17)}


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("zipped", [True, False])
def test_idx_sets(tmp_path: Path, formats: SimpleNamespace, name: str, zipped: bool) -> None:
    folder = find(name, tmp_path).source.layouts[0].folder
    formats.write_mnist(tmp_path / folder, 12, zipped=zipped)
    for seed, split in enumerate(("train", "test")):
        data = load(name, split, tmp_path)
        np.testing.assert_array_equal(data.images[:, 0], formats.images(12, (28, 28), seed))
        assert data.labels.tolist() == [*range(10), 0, 1]
        assert (data.name, data.split) == (name, split)


@pytest.mark.parametrize("name", ["MNIST", "Mnist", "fashion_mnist", "Fashion-MNIST", "CIFAR-10", "Caltech 101"])
def test_spelling_of_names(name: str) -> None:
    assert find(name, "/none").source.name in [source.name for source in SOURCES]


def test_order_of_data_directories(tmp_path: Path, formats: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "xdg/holdfast"
    assert data_dirs() == (own,)
    formats.write_mnist(own / "mnist", 3)
    assert len(load("mnist")) == 3
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "named"))
    assert data_dirs() == (tmp_path / "named", own)
    assert len(load("mnist")) == 3
    formats.write_mnist(tmp_path / "named/mnist", 4)
    assert len(load("mnist")) == 4
    formats.write_mnist(tmp_path / "given/mnist", 5)
    assert len(load("mnist", data_dir=tmp_path / "given")) == 5
    with pytest.raises(DataFileError):  # a directory that is given is the only one
        load("mnist", data_dir=tmp_path / "empty")
    monkeypatch.delenv("HOLDFAST_DATA")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert data_dirs() == (Path("/home/somebody/.local/share/holdfast"),)
    assert data_dirs("~/x") == (Path("/home/somebody/x"),)


def test_what_is_missing_is_listed(tmp_path: Path, formats: SimpleNamespace) -> None:
    formats.write(tmp_path / "cifar-10-batches-py/data_batch_1", b"")
    with pytest.raises(DataFileError) as caught:
        load("cifar10", "train", tmp_path)
    message = str(caught.value)
    for part in ("cifar10 (train) was not found", f"{tmp_path}/cifar-10-batches-py/data_batch_2", "data_batch_5.bin"):
        assert part in message
    assert f"{tmp_path}/cifar-10-batches-py/data_batch_1 (found)" in message
    assert "`holdfast data fetch cifar10`, or say where it is with --data-dir or HOLDFAST_DATA" in message
    with pytest.raises(DataFileError, match=r"https://image-net\.org"):
        load("imagenet", "test", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar", "no data set is called 'cifar'. Did you mean 'cifar10'.*Known: digits, mnist, fashion-mnist"),
        ("quux", "no data set is called 'quux'. Known: digits"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        load(name)
    with pytest.raises(ParameterError, match=message):
        find(name)


def test_unknown_splits(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="digits has no split 'valid', only train, test"):
        load("digits", "valid")
    with pytest.raises(DataFileError, match=r"extra_32x32\.mat"):
        load("svhn", "extra", tmp_path)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("none.npz", "./none", "a/b", tmp_path / "none", "~/none", "bad\0.npz"):
        with pytest.raises(DataFileError, match=r"no such file or folder|cannot be read|damaged"):
            load(path)
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(DataFileError, match=r"only \.npz files and image folders"):
        load(tmp_path / "x.csv")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataFileError, match="mine: no images"):  # a folder here, though it has no slash
        load("mine")


def test_a_set_of_another_shape_is_refused(tmp_path: Path, formats: SimpleNamespace) -> None:
    formats.write(tmp_path / "mnist/t10k-images-idx3-ubyte", formats.idx(formats.images(2, (27, 28))))
    formats.write(tmp_path / "mnist/t10k-labels-idx1-ubyte", formats.idx(np.zeros(2, np.uint8)))
    with pytest.raises(DataFileError, match=r"shape \(1, 27, 28\); those of mnist have \(1, 28, 28\)"):
        load("mnist", "test", tmp_path)
    formats.write(tmp_path / "mnist/t10k-images-idx3-ubyte", formats.idx(formats.images(2, (28, 28))))
    formats.write(tmp_path / "mnist/t10k-labels-idx1-ubyte", formats.idx(np.full(2, 10, np.uint8)))
    with pytest.raises(DataFileError, match="label 10 of image 0 is outside the 10 classes"):
        load("mnist", "test", tmp_path)


def test_find_reports_and_verifies(tmp_path: Path, formats: SimpleNamespace) -> None:
    formats.write_mnist(tmp_path / "mnist")
    report = find("mnist", tmp_path)
    assert (report.available, report.looked_in, report.embedded) == (("train", "test"), (tmp_path,), False)
    report = find("mnist", tmp_path, verify=True)  # these are not the publisher's files
    assert report.available == ()
    assert "its checksum is not the publisher's" in report.explain("test")
    assert find("digits").embedded
    assert find("svhn", tmp_path).available == ()


def test_binary_cifar_has_no_published_checksums(tmp_path: Path, formats: SimpleNamespace) -> None:
    formats.write(tmp_path / "cifar-10-batches-bin/test_batch.bin", b"x")
    assert find("cifar10", tmp_path, verify=True).available == ("test",)


def test_a_directory_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(DataFileError, match="Permission denied"):
        find("mnist", tmp_path)


def test_sources_are_consistent() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES) == 8
    for source in SOURCES:
        assert len(source.classes) in (0, source.num_classes)
        assert len(set(source.classes)) == len(source.classes)
        assert source.licence
        assert source.citation
        assert source.downloads or source.advice or not source.layouts
        for layout in source.layouts:
            assert {split for split, _ in layout.splits} == set(source.splits)
        md5s = [f.md5 for layout in source.layouts for _, files in layout.splits for f in files if f.md5]
        assert all(len(md5) == 32 and int(md5, 16) >= 0 for md5 in (*md5s, *(d.md5 for d in source.downloads)))
