"""How much of a network's values its clamps cut: what the table of a compression shows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from holdfast.compression.plan import RAW
from holdfast.compression.twin import Twin

__all__ = ["saturated_shares"]


def saturated_shares(twin: Twin, images: NDArray[np.int16]) -> tuple[float, ...]:
    """For every operation: the share of its values that a clamp has cut or could have cut; 0 for raw logits.

    The lower clamp of a ReLU cuts by intention and is not counted. Saturating harms no certificate; much of it costs
    accuracy.
    """
    shares = []
    with torch.no_grad():
        for value, step in zip(twin.values(torch.from_numpy(images)), twin.plan.steps, strict=True):
            cut = value.q >= 127
            if step.low < 0:
                cut = cut | (value.q <= -127)
            shares.append(float(cut.double().mean()) if step.group != RAW else 0.0)
    return tuple(shares)
