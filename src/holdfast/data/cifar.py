"""CIFAR-10 and CIFAR-100 as published: the Python version (pickles, never executed) and the binary version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import read_whole
from holdfast.data.inert_pickle import read_inert_pickle
from holdfast.errors import DataFileError

__all__ = ["read_cifar_binary", "read_cifar_python"]

PIXELS = 3 * 32 * 32
LARGEST = 256 * 2**20
"""Bytes; CIFAR-100's ``train`` has 155 million."""

Pairs = tuple[NDArray[np.uint8], NDArray[np.int64]]


def read_cifar_python(paths: Sequence[Path], label_key: bytes) -> Pairs:
    """Read batches of the Python version, in the order given.

    Args:
        paths: ``data_batch_1`` and so on.
        label_key: ``b"labels"`` for CIFAR-10, ``b"fine_labels"`` for CIFAR-100.

    Returns:
        uint8 (N, 3, 32, 32) and int64 (N,).

    Raises:
        DataFileError: a file is missing, damaged, or holds anything but what CIFAR holds. Nothing is executed.
    """
    return _joined([_python_batch(path, label_key) for path in paths])


def read_cifar_binary(paths: Sequence[Path], label_bytes: int) -> Pairs:
    """Read batches of the binary version: per image its label bytes, then 3072 pixels.

    Args:
        paths: ``data_batch_1.bin`` and so on.
        label_bytes: 1 for CIFAR-10; 2 for CIFAR-100, whose last label byte is the fine label.

    Returns:
        uint8 (N, 3, 32, 32) and int64 (N,).

    Raises:
        DataFileError: a file is missing or its size is not a whole number of images.
    """
    return _joined([_binary_batch(path, label_bytes) for path in paths])


def _python_batch(path: Path, label_key: bytes) -> Pairs:
    batch = read_inert_pickle(read_whole(path, "a CIFAR batch", LARGEST), path)
    key = label_key.decode()
    if b"data" not in batch or label_key not in batch:
        found = ", ".join(sorted(k.decode("ascii", "backslashreplace")[:40] for k in batch)) or "nothing"
        raise DataFileError(f"{path}: a CIFAR batch has 'data' and {key!r}; this file has {found}")
    pixels = batch[b"data"]
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
        raise DataFileError(f"{path}: 'data' must be uint8 of shape (N, {PIXELS})")
    labels = _label_array(path, key, batch[label_key])
    if len(labels) != len(pixels):
        raise DataFileError(f"{path}: {len(pixels)} images but {len(labels)} {key}")
    return pixels.reshape(-1, 3, 32, 32), labels


def _label_array(path: Path, key: str, labels: Any) -> NDArray[np.int64]:
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataFileError(f"{path}: {key!r} must be a list of integers")
    return np.array(labels, dtype=np.int64)


def _binary_batch(path: Path, label_bytes: int) -> Pairs:
    row = label_bytes + PIXELS
    data = read_whole(path, "a CIFAR binary batch", LARGEST)
    if not data or len(data) % row:
        raise DataFileError(f"{path}: {len(data)} bytes are not a whole number of images of {row} bytes; cut off?")
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, row)
    return rows[:, label_bytes:].reshape(-1, 3, 32, 32), rows[:, label_bytes - 1].astype(np.int64)


def _joined(batches: list[Pairs]) -> Pairs:
    if len(batches) == 1:
        return np.ascontiguousarray(batches[0][0]), batches[0][1]
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])
