"""The spec's checks, and the one map from pixels to a network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from holdfast.errors import ParameterError
from holdfast.models import ModelSpec, to_input
from holdfast.records import Preprocessing

GREY = Preprocessing((0.5,), (0.25,))
GOOD = ModelSpec("mlp", 10, (1, 8, 8), GREY, {"widths": [4]}).to_json()


@pytest.mark.parametrize("classes", [0, 1, 65536, True, 2.0, "10"])
def test_a_number_of_classes_out_of_range_is_refused(classes: Any) -> None:
    with pytest.raises(ParameterError, match="num_classes"):
        ModelSpec("mlp", classes, (1, 8, 8), GREY)


@pytest.mark.parametrize("shape", [(1, 8), (1, 8, 0), (1, 8, -8), (1, 8, 8.0), (True, 8, 8)])
def test_a_shape_out_of_range_is_refused(shape: Any) -> None:
    with pytest.raises(ParameterError, match="shape"):
        ModelSpec("mlp", 10, shape, GREY)


def test_preprocessing_and_shape_must_have_equal_channels() -> None:
    with pytest.raises(ParameterError, match="1 channels but the images have 3"):
        ModelSpec("mlp", 10, (3, 8, 8), GREY)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"options": []},
        {"num_classes": "10"},
        {"shape": "188"},
        {"shape": [1, 8]},
        {"shape": [1, 8, 8.5]},
        {"mean": [None]},
        {"mean": 0.5},
        {"std": [0.0]},
        {"std": [float("nan")]},
        {"mean": [10**400]},
        {"mean": [0.5, 0.5]},
    ],
)
def test_json_of_wrong_types_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        ModelSpec.from_json(GOOD | change)


@pytest.mark.parametrize("key", sorted(GOOD))
def test_json_without_a_field_is_refused_by_name(key: str) -> None:
    with pytest.raises(ParameterError, match=key):
        ModelSpec.from_json({k: v for k, v in GOOD.items() if k != key})


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(ParameterError, match="object"):
        ModelSpec.from_json(None)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_the_input_is_scale_times_pixel_plus_shift_in_float32(dtype: torch.dtype) -> None:
    p = Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    z = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0)).to(dtype)
    scale, shift = p.scale_shift()
    product = z.numpy().astype(np.float32) * scale[None, :, None, None]
    assert np.array_equal(to_input(z, p).numpy(), product + shift[None, :, None, None])


def test_the_input_takes_the_type_and_layout_asked_for() -> None:
    z = torch.zeros((2, 1, 4, 4), dtype=torch.int16) - 300
    x = to_input(z, GREY, torch.bfloat16, torch.channels_last)
    assert x.dtype == torch.bfloat16
    assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 4, 4)])
def test_pixels_of_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="expected"):
        to_input(torch.zeros(shape), GREY)
