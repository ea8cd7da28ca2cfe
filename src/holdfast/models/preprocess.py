"""From pixels to a network's input, in one place, so that training, certifying and attacking agree."""

from __future__ import annotations

import torch
from torch import Tensor

from holdfast.errors import ParameterError
from holdfast.records import Preprocessing

__all__ = ["to_input"]


def to_input(
    z: Tensor,
    preprocessing: Preprocessing | None,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """``float32(z) * scale + shift`` per channel, then a cast: ``(z / 255 - mean) / std``.

    The 'centering layer' of smoothing papers (the first layer of the base classifier subtracts a mean per channel and
    divides by a standard deviation per channel) is this map: noise is added to ``z``, before it, so the radius is in
    the space of the pixels. A layer that only subtracts the mean is ``std = (1, 1, 1)``.

    Args:
        z: pixels, or pixels plus noise, in grey levels, shape (N, C, H, W), uint8, int16 or float.
        preprocessing: mean and std per channel, in [0, 1] image units; None for a network that takes grey levels.
        dtype: of the result. The arithmetic is float32 in any case.
        memory_format: of the result, for example ``torch.channels_last``.

    Returns:
        Tensor of ``z``'s shape and device.

    Raises:
        ParameterError: the number of channels differs.

    Example:
        >>> z = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
        >>> to_input(z, Preprocessing((0.5,), (0.5,))).tolist()
        [[[[-1.0, 1.0]]]]
    """
    if preprocessing is None:
        return z.to(dtype=dtype, memory_format=memory_format)
    if z.ndim != 4 or z.shape[1] != len(preprocessing.mean):
        raise ParameterError(f"expected (N, {len(preprocessing.mean)}, H, W) pixels, not {tuple(z.shape)}")
    scale, shift = (torch.from_numpy(v).to(z.device).view(1, -1, 1, 1) for v in preprocessing.scale_shift())
    return (z.to(torch.float32) * scale + shift).to(dtype=dtype, memory_format=memory_format)
