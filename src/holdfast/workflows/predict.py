"""``holdfast predict``: images from files or data sets, one fresh key for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast import data as datasets
from holdfast.certify import Prediction, predict
from holdfast.data.image_file import FORMATS, MAX_PIXELS, MODES
from holdfast.errors import DataFileError, MissingDependency, ParameterError
from holdfast.protocols import NoisyClassifier
from holdfast.rounding import exact_decimal

__all__ = ["image_shape", "predict_images", "read_image"]


def predict_images(
    classifier: NoisyClassifier,
    names: list[str],
    *,
    n: int,
    alpha: str,
    batch: int,
    data_dir: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[tuple[str, Prediction]]:
    """PREDICT for each image named; all are read before the first is answered.

    Args:
        classifier: labels noisy copies.
        names: files, or ``DATASET:INDEX``.
        n: samples per image.
        alpha: probability of naming another class than the smoothed one.
        batch: samples per call.
        data_dir: where data sets are kept.
        on_progress: called with (images answered, images in all).
    """
    level = exact_decimal(alpha, "alpha")
    images = [(name, read_image(name, tuple(classifier.shape), data_dir)) for name in names]
    answers = []
    for name, image in images:
        answers.append((name, predict(classifier, image, n, level, batch=batch)))
        on_progress(len(answers), len(images))
    return answers


def image_shape(name: str, data_dir: Path | None = None) -> tuple[int, int, int]:
    """(C, H, W) of an image as it is, for networks that do not say what they take."""
    channels, height, width = _read(name, None, data_dir).shape
    return channels, height, width


def read_image(name: str, shape: tuple[int, ...], data_dir: Path | None = None) -> NDArray[np.uint8]:
    """An image as uint8 (C, H, W): a file, or ``DATASET:INDEX``.

    Raises:
        DataFileError: the file cannot be read as an image.
        ParameterError: it has another shape than ``shape``; nothing is resized in silence.
    """
    image = _read(name, shape[0], data_dir)
    if image.dtype != np.uint8 or image.shape != shape:
        raise ParameterError(
            f"{name} is {image.dtype} of shape {image.shape}; the network takes uint8 of shape {shape} (C, H, W)"
        )
    return image


def _read(name: str, channels: int | None, data_dir: Path | None) -> NDArray[np.uint8]:
    path = Path(name)
    if not path.exists() and ":" in name:
        source, _, index = name.rpartition(":")
        dataset = datasets.load(source, "test", data_dir)
        if not index.isdecimal() or int(index) >= len(dataset):
            raise ParameterError(f"{source} has no input {index!r}: inputs are 0 to {len(dataset) - 1}")
        chosen: NDArray[np.uint8] = dataset.images[int(index)]
        return chosen
    image = _read_npy(path) if path.suffix == ".npy" else _read_picture(path, channels)
    if image.ndim != 3:
        raise ParameterError(f"{name} has shape {image.shape}; an image is (C, H, W)")
    return image


def _read_npy(path: Path) -> NDArray[np.uint8]:
    try:
        image: NDArray[np.uint8] = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises anything on a damaged header
        raise DataFileError(f"{path} cannot be read as an array: {error}") from error
    if not isinstance(image, np.ndarray):
        raise DataFileError(f"{path} is an archive of arrays, not an array; save the image with numpy.save")
    return image


def _read_picture(path: Path, channels: int | None) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency("reading pictures needs pillow: pip install 'holdfast[data]'") from error
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.mode not in MODES or picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"{picture.width}x{picture.height} pixels of kind {picture.mode!r}")
            grey = channels == 1 or (channels is None and picture.mode in ("1", "L"))
            opaque = picture.convert("RGBA").getchannel("A").getextrema() == (255, 255)
            pixels = np.asarray(picture.convert("RGB"))
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise DataFileError(f"{path} cannot be read as a picture: {error}") from error
    if not opaque:
        raise ParameterError(
            f"{path} is transparent in places: put it on a background yourself, as its training images were"
        )
    if grey and np.any(pixels != pixels[..., :1]):
        raise ParameterError(
            f"{path} is in colour; the network takes one channel: turn the picture grey yourself, as its training images were"
        )
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[: 1 if grey else 3])
