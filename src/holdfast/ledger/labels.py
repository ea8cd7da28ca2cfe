"""Cached labels as checked, compressed blobs: about 15 kB for 100 000 of them."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import LedgerError

__all__ = ["MOST_LABELS", "labels_digest", "pack_labels", "unpack_checked", "unpack_labels"]

_LEVEL = 1
MOST_LABELS = 1 << 24
"""Of one input and purpose: what a reader is willing to unpack."""


def labels_digest(labels: NDArray[np.uint16]) -> str:
    """Hex SHA-256 of the labels as little-endian uint16: independent of compression."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<u2").tobytes()).hexdigest()


def pack_labels(labels: NDArray[np.uint16]) -> bytes:
    """zlib of the low bytes, followed by the high bytes where any is not zero.

    Example:
        >>> unpack_labels(pack_labels(np.array([1, 999], dtype=np.uint16)), 2)
        array([  1, 999], dtype=uint16)
    """
    low = (labels & 0xFF).astype(np.uint8).tobytes()
    high = (labels >> 8).astype(np.uint8).tobytes() if labels.size and int(labels.max()) > 0xFF else b""
    return zlib.compress(low + high, _LEVEL)


def unpack_labels(body: bytes, count: int | None = None) -> NDArray[np.uint16]:
    """The labels of a blob; at most 2^24, and exactly ``count`` when given (else every byte is taken as a label).

    Raises:
        LedgerError: the blob is damaged or holds another number of labels.
    """
    if count is not None and not 0 <= count <= MOST_LABELS:
        raise LedgerError(f"{count} cached labels of one input cannot be read: at most {MOST_LABELS} are kept")
    limit = 2 * (MOST_LABELS if count is None else count)
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise LedgerError(f"a block of cached labels is damaged ({error})") from error
    if not inflate.eof or len(raw) > limit or (count is not None and len(raw) not in (count, limit)):
        raise LedgerError(
            f"a block of cached labels does not hold the {count if count is not None else 'stated'} labels it should"
        )
    if count is None or len(raw) == count:
        return np.frombuffer(raw, dtype=np.uint8).astype(np.uint16)
    low, high = np.frombuffer(raw, dtype=np.uint8).reshape(2, count).astype(np.uint16)
    return (low | high << 8).astype(np.uint16)


def unpack_checked(body: bytes, digest: str, count: int | None = None) -> NDArray[np.uint16] | None:
    """The labels of a blob whose :func:`labels_digest` is ``digest``; None when they have another one.

    Without ``count`` the digest also tells labels of one byte from labels of two.

    Raises:
        LedgerError: as :func:`unpack_labels`.
    """
    labels = unpack_labels(body, count)
    if count is None and len(labels) % 2 == 0 and labels_digest(labels) != digest:
        labels = unpack_labels(body, len(labels) // 2)
    return labels if labels_digest(labels) == digest else None
