"""What an objective is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from holdfast.training.batches import Batch

__all__ = ["Classify", "Draw", "Objective", "Outcome"]

Classify = Callable[[Tensor], Tensor]
"""From pixels plus noise, float32 (B, C, H, W) in grey levels, to float32 logits (B, classes)."""

Draw = Callable[[torch.Size], Tensor]
"""From a (B, C, H, W) shape to fresh integer noise of the training's sigma, float32, in channels_last order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step gives.

    Attributes:
        loss: scalar, to descend.
        logits: (B, classes), of which the training accuracy is counted.
    """

    loss: Tensor
    logits: Tensor


class Objective(Protocol):
    """A training objective."""

    name: ClassVar[str]

    def __call__(self, classify: Classify, batch: Batch, draw: Draw) -> Outcome:
        """The loss of one batch."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Name and fields, as JSON values."""
        ...
