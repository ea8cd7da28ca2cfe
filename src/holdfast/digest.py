"""SHA-256 of arrays and of structured values, the same on every machine.

A digest names content: two arrays with equal dtype, shape and values have one digest, whatever their memory layout.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import ParameterError

__all__ = ["array_digest", "canonical_json", "json_digest"]


def array_digest(array: NDArray[Any]) -> bytes:
    """SHA-256 of an array's dtype, shape and values in C order, little-endian.

    Args:
        array: any array of integers, floats or booleans.

    Returns:
        32 bytes.

    Raises:
        ParameterError: an array of anything else (of objects, say, whose bytes are addresses in memory).

    Example:
        >>> a = np.arange(6, dtype=np.uint8).reshape(2, 3)
        >>> array_digest(a) == array_digest(np.asfortranarray(a))
        True
        >>> array_digest(a) == array_digest(a.reshape(3, 2))
        False
    """
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ParameterError(f"only arrays of integers, floats or booleans have a digest, not dtype {array.dtype}")
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    header = canonical_json({"dtype": little.dtype.str, "shape": list(array.shape)})
    return hashlib.sha256(header + b"\0" + little.tobytes()).digest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, ASCII, no NaN or infinity.

    Example:
        >>> canonical_json({"b": 1, "a": [True, None]})
        b'{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def json_digest(value: Any) -> bytes:
    """SHA-256 of :func:`canonical_json`; 32 bytes."""
    return hashlib.sha256(canonical_json(value)).digest()
