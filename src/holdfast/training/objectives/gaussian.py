"""Training under noise as Cohen et al. do it, on integers: cross-entropy of one noisy copy of each image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch.nn.functional as F

from holdfast.training.batches import Batch
from holdfast.training.objectives.protocol import Classify, Draw, Outcome

__all__ = ["Gaussian"]


@dataclass(frozen=True, slots=True)
class Gaussian:
    """``CE(f(x + n), y)`` with one draw of noise per image and step, and optional label smoothing.

    Attributes:
        label_smoothing: share of the label spread evenly over the classes.

    References:
        Cohen, Rosenfeld, Kolter: Certified Adversarial Robustness via Randomized Smoothing, section 3.3.
    """

    name: ClassVar[str] = "gaussian"
    label_smoothing: float = 0.0

    def __call__(self, classify: Classify, batch: Batch, draw: Draw) -> Outcome:
        """The loss of one batch."""
        logits = classify(batch.pixels + draw(batch.pixels.shape))
        return Outcome(F.cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing), logits)

    def to_json(self) -> dict[str, Any]:
        """Name and fields, as JSON values."""
        return {"name": self.name, **asdict(self)}
