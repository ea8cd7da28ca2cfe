"""Digests name content: not layout, byte order or the machine."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from holdfast.digest import array_digest, canonical_json, json_digest
from holdfast.errors import ParameterError

NUMBERS = st.one_of(
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(endianness="<", sizes=(16, 32, 64)),
    hnp.boolean_dtypes(),
)
ARRAYS = hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


def test_known_answers() -> None:
    """A change of these would break every ledger."""
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    text = b'{"dtype":"|u1","shape":[3,2,2]}' + b"\0" + bytes(range(12))
    assert array_digest(image) == hashlib.sha256(text).digest()
    assert array_digest(image).hex() == "eabecd2d650bd716af67afccae9a7cd1615a0deb8f44eb45533ecd3d96065281"
    text = b'{"dtype":"<i4","shape":[1]}' + b"\0" + bytes([1, 0, 0, 0])
    assert array_digest(np.array([1], dtype=np.int32)) == hashlib.sha256(text).digest()


@given(ARRAYS)
def test_layout_and_byte_order_change_nothing(array: NDArray[np.generic]) -> None:
    digest = array_digest(array)
    assert len(digest) == 32
    assert array_digest(np.asfortranarray(array).reshape(array.shape)) == digest
    assert array_digest(array.astype(array.dtype.newbyteorder(">"))) == digest
    strided = np.stack([array, array], axis=-1)[..., 0]
    assert array_digest(strided) == digest


@given(ARRAYS)
def test_shape_and_dtype_belong_to_the_content(array: NDArray[np.generic]) -> None:
    digest = array_digest(array)
    assert array_digest(array[np.newaxis]) != digest
    assert array_digest(
        array.view(f"V{array.dtype.itemsize}").view(np.dtype(f"u{array.dtype.itemsize}"))
    ) != digest or (array.dtype.kind == "u")


@given(hnp.arrays(np.uint8, (2, 3)), st.integers(0, 5), st.integers(1, 255))
def test_every_value_counts(array: NDArray[np.uint8], position: int, change: int) -> None:
    other = array.copy()
    other.flat[position] = (int(other.flat[position]) + change) % 256
    assert array_digest(other) != array_digest(array)


@pytest.mark.parametrize("dtype", [object, "U3", "datetime64[s]", complex, np.longdouble, "i4,f4"])
def test_what_has_no_such_bytes_is_refused(dtype: object) -> None:
    with pytest.raises(ParameterError, match="dtype"):
        array_digest(np.zeros(2, dtype=dtype))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_canonical_json_is_ascii_and_gives_the_value_back(value: object) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert json_digest(value) == hashlib.sha256(text).digest()


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_order_of_keys_changes_nothing(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_what_json_has_no_text_for_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)
