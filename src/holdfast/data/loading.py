"""From a name or a path to a :class:`~holdfast.data.dataset.DataSet`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data.cifar import read_cifar_binary, read_cifar_python
from holdfast.data.dataset import DataSet
from holdfast.data.files import reading
from holdfast.data.idx import read_idx_pair
from holdfast.data.image_folder import read_image_folder
from holdfast.data.npz import read_npz
from holdfast.data.npz_split import read_npz_split
from holdfast.data.registry import Report, Source, find_source, search
from holdfast.data.sources import SOURCES
from holdfast.data.svhn import read_svhn
from holdfast.errors import DataFileError, ParameterError

__all__ = ["find", "load"]

DIGITS_TRAIN = 1297
"""This many of the embedded digits are ``train``, the other 500 ``test``; UCI's own division is not known here."""

Parts = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]

_FILE_READERS: dict[str, Callable[[tuple[Path, ...]], tuple[NDArray[np.uint8], NDArray[np.int64]]]] = {
    "idx": lambda paths: read_idx_pair(*paths),
    "cifar10-python": lambda paths: read_cifar_python(paths, b"labels"),
    "cifar10-binary": lambda paths: read_cifar_binary(paths, 1),
    "cifar100-python": lambda paths: read_cifar_python(paths, b"fine_labels"),
    "cifar100-binary": lambda paths: read_cifar_binary(paths, 2),
    "svhn-mat": lambda paths: read_svhn(*paths),
}


def find(name: str, data_dir: Path | str | None = None, *, verify: bool = False) -> Report:
    """Look for the files of a data set, without reading them.

    Args:
        name: as for :func:`load`; not a path.
        data_dir: as for :func:`load`.
        verify: also compare the files' checksums with the publishers', where they publish them.

    Raises:
        ParameterError: no data set has this name.

    Example:
        >>> find("digits").available
        ('train', 'test')
    """
    return search(find_source(name, SOURCES), data_dir, verify)


def load(name_or_path: str | Path, split: str = "test", data_dir: Path | str | None = None) -> DataSet:
    """Load one split of a data set.

    Args:
        name_or_path: one of ``digits`` (part of holdfast), ``mnist``, ``fashion-mnist``, ``cifar10``, ``cifar100``,
            ``svhn``, ``caltech101``, ``imagenet``; or the path of an ``.npz``
            (:func:`~holdfast.data.npz_split.read_npz_split`) or of an image folder
            (:func:`~holdfast.data.image_folder.read_image_folder`).
        split: ``train`` or ``test``; SVHN also has ``extra``.
        data_dir: where the files are. By default the directory in ``HOLDFAST_DATA``, then ``~/.local/share/holdfast``.

    Returns:
        images uint8 (N, C, H, W) and labels int64 (N,). Nothing is scaled; only image folders are resized.

    Raises:
        ParameterError: no data set has this name or this split.
        DataFileError: files are missing (the message lists where they were looked for), damaged or hostile.
        MissingDependency: the format needs a package that is not installed.

    Example:
        >>> data = load("digits", "test")
        >>> data.images.dtype, data.images.shape, data.labels[:3].tolist()
        (dtype('uint8'), (500, 1, 8, 8), [0, 1, 2])
    """
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, Path) or _looks_like_a_path(name_or_path):
        return _from_path(path, split)
    try:
        source = find_source(name_or_path, SOURCES)
    except ParameterError:
        if path.exists():
            return _from_path(path, split)
        raise
    if split not in source.splits:
        raise ParameterError(f"{source.name} has no split {split!r}, only {', '.join(source.splits)}")
    return _from_source(source, split, data_dir)


def _looks_like_a_path(text: str) -> bool:
    return "/" in text or text.startswith((".", "~")) or text.lower().endswith(".npz")


def _from_path(path: Path, split: str) -> DataSet:
    with reading(path, "a data set"):
        present = path.exists()
    if not present:
        raise DataFileError(f"{path}: there is no such file or folder; give an .npz, an image folder, or a known name")
    if path.is_dir():
        return _checked(path, path.name, split, read_image_folder(path, split))
    if path.suffix.lower() != ".npz":
        raise DataFileError(f"{path}: only .npz files and image folders are read by path; convert it to .npz")
    return _checked(path, path.stem, split, read_npz_split(path, split))


def _from_source(source: Source, split: str, data_dir: Path | str | None) -> DataSet:
    if not source.layouts:
        return DataSet(source.name, split, *_digits(split), source.classes)
    report = search(source, data_dir, verify=False)
    place = report.best(split)
    if place is None:
        raise DataFileError(report.explain(split))
    if place.reader in _FILE_READERS:
        parts: Parts = (*_FILE_READERS[place.reader](place.present), source.classes)
    else:
        parts = read_image_folder(place.present[0], split, source)
    where = place.present[0]
    data = _checked(where, source.name, split, parts)
    if data.shape != source.shape:
        raise DataFileError(f"{where}: images of shape {data.shape}; those of {source.name} have {source.shape}")
    return data


def _checked(where: Path, name: str, split: str, parts: Parts) -> DataSet:
    """The data set, whose own checks now speak about a file."""
    try:
        return DataSet(name, split, *parts)
    except ParameterError as error:
        raise DataFileError(f"{where}: {error}") from error


def _digits(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with resources.as_file(resources.files("holdfast.data") / "digits.npz") as path:
        arrays: dict[str, NDArray[Any]] = read_npz(path, ("images", "labels"))
    part = slice(None, DIGITS_TRAIN) if split == "train" else slice(DIGITS_TRAIN, None)
    return arrays["images"][part], arrays["labels"][part].astype(np.int64)
