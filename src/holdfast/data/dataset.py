"""The one value a data set is: images, labels and class names, checked once and unchangeable afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import array_digest, json_digest
from holdfast.errors import ParameterError

__all__ = ["DataSet"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """One split of a data set, in memory.

    The arrays are kept as read-only views, because :attr:`digest` names their content: certificates refer to it.

    Attributes:
        name: name of the data set.
        split: ``train``, ``test``, or what the file calls it.
        images: uint8, shape (N, C, H, W), grey levels 0 to 255. A certified radius lives in this space.
        labels: int64, shape (N,), in ``0 .. num_classes - 1``.
        classes: one name per class.

    Raises:
        ParameterError: a dtype, a shape or a label is not as above; the message says which.

    Example:
        >>> data = DataSet("dots", "test", np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1]), ("no", "yes"))
        >>> len(data), data.shape, data.num_classes
        (2, (1, 4, 4), 2)
        >>> print(data)
        dots test: 2 images of 1x4x4, 2 classes
    """

    name: str
    split: str
    images: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_images(self.images)
        _check_labels(self.labels, len(self.images), len(self.classes))
        object.__setattr__(self, "images", _read_only(self.images))
        object.__setattr__(self, "labels", _read_only(self.labels))

    def __len__(self) -> int:
        return len(self.images)

    def __str__(self) -> str:
        size = "x".join(str(n) for n in self.shape)
        return f"{self.name} {self.split}: {len(self)} images of {size}, {self.num_classes} classes"

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the images and the labels: names this content, whatever its name or where it came from."""
        parts = {"images": array_digest(self.images).hex(), "labels": array_digest(self.labels).hex()}
        return json_digest(parts).hex()


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_images(images: NDArray[Any]) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        kind = getattr(images, "dtype", type(images).__name__)
        raise ParameterError(f"images must be uint8 grey levels 0 to 255, not {kind}; undo any scaling")
    if images.ndim != 4 or 0 in images.shape:
        raise ParameterError(f"images must have a shape (N, C, H, W) without zeros, not {images.shape}")


def _check_labels(labels: NDArray[Any], count: int, num_classes: int) -> None:
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64:
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise ParameterError(f"labels must be int64, not {kind}")
    if labels.shape != (count,):
        raise ParameterError(f"there are {count} images, so labels must have shape ({count},), not {labels.shape}")
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if bad.size:
        index = int(bad[0])
        raise ParameterError(f"label {labels[index]} of image {index} is outside the {num_classes} classes")
