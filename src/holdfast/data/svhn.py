"""SVHN as published: ``{train,test,extra}_32x32.mat`` with ``X`` (32, 32, 3, N) and ``y`` (N, 1), where 10 means 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.data.mat5 import read_mat5
from holdfast.errors import DataFileError

__all__ = ["read_svhn"]


def read_svhn(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one SVHN file of cropped digits.

    Returns:
        uint8 (N, 3, 32, 32) and int64 (N,) in 0 to 9.

    Raises:
        DataFileError: the file is damaged or holds something else.
    """
    arrays = read_mat5(path, ("X", "y"))
    pixels, labels = arrays["X"], arrays["y"]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise DataFileError(f"{path}: 'X' must be uint8 (32, 32, 3, N), not {pixels.dtype} {pixels.shape}")
    if labels.shape not in ((pixels.shape[3], 1), (1, pixels.shape[3])):
        raise DataFileError(f"{path}: 'y' must have a label for each of {pixels.shape[3]} images, not {labels.shape}")
    digits = labels.reshape(-1)
    if not np.isin(digits, np.arange(1, 11)).all():
        raise DataFileError(f"{path}: 'y' must hold the labels 1 to 10 (10 is the digit 0), and nothing else")
    return np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), digits.astype(np.int64) % 10
