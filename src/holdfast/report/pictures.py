"""Images as PNG files inside the page, and small ones for tables."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["centre", "data_address", "png_base64", "shrunk"]

_KINDS = {1: 0, 3: 2}
"""Channels to the colour type of PNG: grey, red-green-blue."""


def png_base64(image: NDArray[np.uint8]) -> str:
    """An image as a PNG file in base64; empty if it has neither one channel nor three.

    Args:
        image: uint8, (C, H, W).

    Example:
        >>> png_base64(np.zeros((1, 2, 2), np.uint8))[:11]
        'iVBORw0KGgo'
        >>> png_base64(np.zeros((2, 2, 2), np.uint8))
        ''
    """
    channels, height, width = image.shape
    if channels not in _KINDS:
        return ""
    rows = np.ascontiguousarray(image.transpose(1, 2, 0)).reshape(height, width * channels)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # 0: a row without a filter
    head = struct.pack(">IIBBBBB", width, height, 8, _KINDS[channels], 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)).decode()


def data_address(image: NDArray[np.uint8]) -> str:
    """The ``data:`` address of an image; empty as for :func:`png_base64`."""
    text = png_base64(image)
    return f"data:image/png;base64,{text}" if text else ""


def shrunk(image: NDArray[np.uint8], side: int = 32) -> NDArray[np.uint8]:
    """An image of at most ``side`` by ``side`` pixels, or the same if it is no larger: means of square blocks.

    What does not fill a block at the lower or right edge is left out.

    Example:
        >>> shrunk(np.full((1, 224, 224), 7, np.uint8)).shape
        (1, 32, 32)
    """
    channels, height, width = image.shape
    factor = max(-(-height // side), -(-width // side))
    if factor == 1:
        return image
    high, wide = max(height // factor, 1), max(width // factor, 1)
    blocks = image[:, : high * factor, : wide * factor]
    split = blocks.reshape(channels, high, blocks.shape[1] // high, wide, blocks.shape[2] // wide)
    return np.asarray(split.mean(axis=(2, 4)), dtype=np.uint8)


def centre(image: NDArray[np.uint8], side: int = 96) -> NDArray[np.uint8]:
    """The middle ``side`` by ``side`` pixels of (..., H, W), or all: noise must not be averaged away for showing."""
    top, left = (max(length - side, 0) // 2 for length in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
