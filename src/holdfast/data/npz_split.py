"""A data set in an ``.npz``: which arrays are which split, and the two orders of axes that are in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data.npz import npz_names, read_npz
from holdfast.errors import DataFileError

__all__ = ["read_npz_split"]

CHANNELS = (1, 3)


def read_npz_split(path: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read one split of a data set from an ``.npz``.

    The arrays are ``{split}_images`` and ``{split}_labels`` if the file has arrays of that kind; otherwise ``images``
    and ``labels``, and then the whole file is whichever split is asked for.

    * images: uint8, (N, C, H, W); or (N, H, W) of one channel; or (N, H, W, C) when C is 1 or 3 and the second axis is
      neither.
    * labels: integers, (N,).
    * ``classes``, optional: text, (K,), one name per class. Without it the classes are numbered, up to the largest
      label in the file.

    Args:
        path: the file.
        split: ``train``, ``test`` or any other prefix.

    Returns:
        uint8 (N, C, H, W), int64 (N,) and the class names.

    Raises:
        DataFileError: an array is missing, refused, or not as above.
    """
    names = npz_names(path)
    prefix = _prefix(path, names, split)
    images, labels = prefix + "images", prefix + "labels"
    others = tuple(n for n in names if n.endswith("_labels") and n != labels)
    arrays = read_npz(path, (images, labels), ("classes", *others))
    values = {name: _integers(path, name, arrays[name]) for name in (labels, *others)}
    if "classes" in arrays:
        classes = _class_names(path, arrays["classes"])
    else:
        classes = _numbered(path, max(int(v.max()) for v in values.values()))
    return _channels_first(path, images, arrays[images]), values[labels], classes


def _prefix(path: Path, names: tuple[str, ...], split: str) -> str:
    if f"{split}_images" in names:
        return f"{split}_"
    if "images" in names:
        return ""
    splits = ", ".join(n.removesuffix("_images") for n in names if n.endswith("_images"))
    found = f"the splits {splits}" if splits else f"the arrays {', '.join(names[:20]) or 'none'}"
    raise DataFileError(f"{path}: needs arrays 'images' and 'labels', or '{split}_images' and so on; it has {found}")


def _channels_first(path: Path, name: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise DataFileError(
            f"{path}, array {name!r}: must be uint8 grey levels 0 to 255, not {images.dtype}; undo any scaling"
        )
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        raise DataFileError(f"{path}, array {name!r}: must have a shape (N, C, H, W), not {images.shape}")
    if images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images


def _integers(path: Path, name: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataFileError(f"{path}, array {name!r}: must be integers (N,), not {labels.dtype} {labels.shape}")
    return labels.astype(np.int64)


def _class_names(path: Path, names: NDArray[Any]) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.ndim != 1:
        raise DataFileError(f"{path}, array 'classes': must be text (K,), not {names.dtype} {names.shape}")
    points = np.ascontiguousarray(names.astype(names.dtype.newbyteorder("="))).view(np.uint32)
    if ((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any():
        raise DataFileError(f"{path}, array 'classes': not text (it has numbers that are no characters)")
    texts = tuple(str(name) for name in names)
    if not all(text.isprintable() for text in texts):
        raise DataFileError(f"{path}, array 'classes': names must be printable")
    return texts


def _numbered(path: Path, largest: int) -> tuple[str, ...]:
    if not 0 <= largest < 2**16:
        raise DataFileError(f"{path}: the largest label is {largest}; labels must be 0 to 65535")
    return tuple(str(k) for k in range(largest + 1))
