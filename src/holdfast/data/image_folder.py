"""Image folders: one folder per class, resized and cropped to one size (Caltech-101, ImageNet, your own)."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import MAX_ARRAY_BYTES, read_whole, reading
from holdfast.data.image_file import CropTo224, ImageReader, common_size
from holdfast.data.registry import Source
from holdfast.errors import DataFileError

__all__ = ["read_image_folder"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp")
NO_CLASS = "BACKGROUND_Google"
FOLDER_OF_SPLIT = {"train": ("train",), "test": ("test", "val")}
MAX_LIST_BYTES = 256 * 2**20

Item = tuple[Path, int]
Parts = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]


def read_image_folder(root: Path, split: str, source: Source | None = None) -> Parts:
    """Read one split of a folder with one folder of images per class.

    The classes are the folders, sorted by name. Which images are the split:

    1. ``train.txt`` or ``test.txt`` in ``root``: lines ``CLASS/FILE``, in that order;
    2. ``root/train`` and ``root/test`` (or ``root/val``) with the class folders in them: all images, sorted;
    3. otherwise, within each class, the images sorted by the SHA-256 of ``CLASS/FILE``: the first four fifths (rounded
       up) are ``train``, the rest is ``test``; the split is listed sorted by class and file name.

    Images become RGB; their shorter side is resized to 256 (bilinear) and the centre 224x224 is kept, the field's usual
    reading of "resized and center cropped into 224 x 224" (IntRS paper, appendix). In a folder
    without a registered name, images that all have one size of at most 224x224 are taken as they are (one channel if
    all are grey). The certified radius lives in the array that is returned.

    Args:
        root: the folder.
        split: ``train`` or ``test``.
        source: the registered data set it should be; its classes are then required.

    Returns:
        uint8 (N, C, H, W), int64 (N,) and the class names.

    Raises:
        DataFileError: no classes or images, an entry of a list that is not there, or an image that cannot be read.
        MissingDependency: Pillow is not installed.
    """
    with reading(root, "an image folder"):
        classes, items = _listed(root, split, skip_background=source is not None)
    if source is not None:
        _check_classes(root, classes, source)
    if not items:
        raise DataFileError(f"{root}: no images for {split!r}; expected CLASS/FILE with one of {', '.join(SUFFIXES)}")
    paths = [path for path, _ in items]
    size = common_size(paths) if source is None else None
    labels = np.array([label for _, label in items], dtype=np.int64)
    return _read_all(root, paths, size or CropTo224()), labels, classes


def _listed(root: Path, split: str, *, skip_background: bool) -> tuple[tuple[str, ...], list[Item]]:
    """The classes and the images of a split, with labels."""
    listing = root / f"{split}.txt"
    if listing.is_file():
        classes = _class_folders(root, skip_background)
        return classes, _from_list(root, listing, classes)
    for name in FOLDER_OF_SPLIT.get(split, (split,)):
        if (root / name).is_dir():
            classes = _class_folders(root / name, skip_background)
            return classes, [(path, k) for k, c in enumerate(classes) for path in _images(root / name / c)]
    classes = _class_folders(root, skip_background)
    return classes, [(path, k) for k, c in enumerate(classes) for path in _part(root / c, split)]


def _class_folders(root: Path, skip_background: bool) -> tuple[str, ...]:
    names = [entry.name for entry in root.iterdir() if not entry.name.startswith(".") and entry.is_dir()]
    return tuple(sorted(name for name in names if not (skip_background and name == NO_CLASS)))


def _images(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.suffix.lower() in SUFFIXES)


def _part(folder: Path, split: str) -> list[Path]:
    if split not in FOLDER_OF_SPLIT:
        raise DataFileError(f"{folder.parent}: has no split {split!r}; write a list {split}.txt of CLASS/FILE lines")
    paths = _images(folder)
    shuffled = sorted(paths, key=lambda p: hashlib.sha256(os.fsencode(f"{folder.name}/{p.name}")).digest())
    cut = -(-4 * len(paths) // 5)
    return sorted(shuffled[:cut] if split == "train" else shuffled[cut:])


def _from_list(root: Path, listing: Path, classes: tuple[str, ...]) -> list[Item]:
    labels = {name: label for label, name in enumerate(classes)}
    text = read_whole(listing, "a list of images", MAX_LIST_BYTES).decode("utf-8", "surrogateescape")
    items = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        folder, _, file = line.strip().partition("/")
        if folder not in labels or file in ("", ".", "..") or "/" in file or "\0" in file:
            raise DataFileError(f"{listing}, line {number}: {line.strip()[:200]!r} is not CLASS/FILE")
        items.append((root / folder / file, labels[folder]))
    return items


def _check_classes(root: Path, classes: tuple[str, ...], source: Source) -> None:
    if len(classes) == source.num_classes and classes == (source.classes or classes):
        return
    wrong = sorted(set(classes) ^ set(source.classes)) if source.classes else []
    detail = f" (differs in {', '.join(wrong[:5])}{', ...' if len(wrong) > 5 else ''})" if wrong else ""
    raise DataFileError(
        f"{root}: {source.name} has {source.num_classes} class folders, here are {len(classes)}{detail}; "
        f"a part of it can be loaded by its path"
    )


def _read_all(root: Path, paths: list[Path], reader: ImageReader) -> NDArray[np.uint8]:
    shape = (len(paths), *reader.shape)
    if np.prod(shape, dtype=object) > MAX_ARRAY_BYTES:
        raise DataFileError(
            f"{root}: {len(paths)} images of {reader.shape} need more than {MAX_ARRAY_BYTES} bytes; "
            f"choose some of them with a list such as test.txt"
        )
    images = np.empty(shape, dtype=np.uint8)

    def read(index: int) -> None:
        images[index] = reader.read(paths[index])

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(read, range(len(paths))):
            pass
    return images
