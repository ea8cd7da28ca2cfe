"""The data set value: what it accepts, what it says, and that its digest can be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.data import DataSet
from holdfast.digest import array_digest, json_digest
from holdfast.errors import ParameterError

IMAGES = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
LABELS = np.array([1, 0])
CLASSES = ("a", "b")


def test_what_it_says() -> None:
    data = DataSet("x", "test", IMAGES, LABELS, CLASSES)
    assert (len(data), data.num_classes, data.shape) == (2, 2, (3, 2, 2))
    assert str(data) == "x test: 2 images of 3x2x2, 2 classes"
    assert "array" not in repr(data)


def test_digest_is_of_content_alone() -> None:
    data = DataSet("x", "test", IMAGES, LABELS, CLASSES)
    parts = {"images": array_digest(IMAGES).hex(), "labels": array_digest(LABELS).hex()}
    assert data.digest == json_digest(parts).hex()
    same = DataSet("y", "train", np.asfortranarray(IMAGES), LABELS.copy(), ("c", "d", "e"))
    assert same.digest == data.digest
    assert DataSet("x", "test", IMAGES, 1 - LABELS, CLASSES).digest != data.digest


def test_arrays_cannot_be_changed() -> None:
    data = DataSet("x", "test", IMAGES.copy(), LABELS, CLASSES)
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 0
    with pytest.raises(AttributeError):
        data.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255.0, LABELS, "uint8 grey levels 0 to 255, not float64"),
        (IMAGES.tolist(), LABELS, "not list"),
        (IMAGES[0], LABELS, r"\(N, C, H, W\) without zeros, not \(3, 2, 2\)"),
        (IMAGES[:0], LABELS[:0], "without zeros"),
        (IMAGES, LABELS.astype(np.int32), "labels must be int64, not int32"),
        (IMAGES, [0, 1], "labels must be int64, not list"),
        (IMAGES, LABELS[:1], r"2 images, so labels must have shape \(2,\), not \(1,\)"),
        (IMAGES, np.array([0, 2]), "label 2 of image 1 is outside the 2 classes"),
        (IMAGES, np.array([-1, 0]), "label -1 of image 0"),
    ],
)
def test_refusals_say_what_is_wrong(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DataSet("x", "test", images, labels, CLASSES)
