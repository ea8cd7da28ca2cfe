"""One image file to one array: decoding with limits, then resizing and cropping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from holdfast.data.files import file_size
from holdfast.errors import DataFileError, MissingDependency

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["AsItIs", "CropTo224", "ImageReader", "common_size"]

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")
MAX_PIXELS = 80_000_000
"""Of one image, before resizing; the largest of ImageNet has 61 million."""

MAX_FILE_BYTES = 256 * 2**20
RESIZE, CROP = 256, 224


class ImageReader(ABC):
    """Reads image files to arrays of one shape."""

    shape: tuple[int, int, int]

    @abstractmethod
    def read(self, path: Path) -> NDArray[np.uint8]:
        """One image, uint8 (C, H, W).

        Raises:
            DataFileError: it is not an image, is damaged, or is too large.
        """


@dataclass(frozen=True)
class CropTo224(ImageReader):
    """RGB, the shorter side resized to 256 (bilinear, antialiased), the centre 224x224 kept."""

    shape: tuple[int, int, int] = (3, CROP, CROP)

    def read(self, path: Path) -> NDArray[np.uint8]:
        with _opened(path) as image:
            return _channels_first(_crop(_resize(path, image.convert("RGB"))))


@dataclass(frozen=True)
class AsItIs(ImageReader):
    """Images that all have this size, as they are."""

    shape: tuple[int, int, int]

    def read(self, path: Path) -> NDArray[np.uint8]:
        with _opened(path) as image:
            if image.size != self.shape[:0:-1]:
                raise DataFileError(f"{path}: changed its size while the folder was being read")
            return _channels_first(image.convert("L" if self.shape[0] == 1 else "RGB"))


def common_size(paths: list[Path]) -> ImageReader | None:
    """A reader that takes the images as they are, if all have one size of at most 224x224; else None."""
    sizes, grey = set(), True
    for path in paths:
        with _opened(path) as image:
            sizes.add(image.size)
            grey = grey and image.mode in ("1", "L")
        if len(sizes) > 1 or max(image.size) > CROP:
            return None
    width, height = sizes.pop()
    return AsItIs((1 if grey else 3, height, width))


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency("reading images needs Pillow: pip install 'holdfast[data]'") from error
    if file_size(path, "an image") > MAX_FILE_BYTES:
        raise DataFileError(f"{path}: an image file of more than {MAX_FILE_BYTES} bytes; refused")
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check(path, image)
            yield image
    except (DataFileError, MemoryError):
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise DataFileError(f"{path}: not an image, or damaged ({error})") from error


def _check(path: Path, image: Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataFileError(f"{path}: {image.width}x{image.height} pixels; at most {MAX_PIXELS} are read")
    if image.mode not in MODES:
        raise DataFileError(f"{path}: pixels of kind {image.mode!r}; only 8 bits per channel are read")


def _resize(path: Path, image: Image) -> Image:
    """Shorter side to 256; the longer one is truncated to a whole number, as torchvision does."""
    from PIL.Image import Resampling

    width, height = image.size
    shorter = min(width, height)
    size = (int(RESIZE * width / shorter), int(RESIZE * height / shorter))
    if size[0] * size[1] > MAX_PIXELS:
        raise DataFileError(f"{path}: {width}x{height} pixels are too narrow to be resized")
    return image if image.size == size else image.resize(size, Resampling.BILINEAR)


def _crop(image: Image) -> Image:
    left, top = round((image.width - CROP) / 2), round((image.height - CROP) / 2)
    return image.crop((left, top, left + CROP, top + CROP))


def _channels_first(image: Image) -> NDArray[np.uint8]:
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
