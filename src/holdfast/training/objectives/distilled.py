"""Training a network to answer as another one does: how a quantised network is kept close to its float original."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holdfast.digest import array_digest
from holdfast.records import Preprocessing
from holdfast.training.batches import Batch
from holdfast.training.objectives.protocol import Classify, Draw, Outcome
from holdfast.training.precision import Execution

__all__ = ["Distilled"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Distilled:
    """``KL(softmax t(x + n) || softmax f(x + n))``: the teacher t and the network f see the same noisy copy.

    Labels are not used: where the two agree there is nothing to learn, so only what quantising changed is repaired, and
    the smoothed network stays the one that was trained.

    Attributes:
        teacher: the float network, in evaluation mode.
        preprocessing: the map from pixels to its input.
        execution: how it is run.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (temperature 1).
    """

    name: ClassVar[str] = "distilled"
    teacher: nn.Module
    preprocessing: Preprocessing
    execution: Execution

    def __call__(self, classify: Classify, batch: Batch, draw: Draw) -> Outcome:
        """The loss of one batch."""
        noisy = batch.pixels + draw(batch.pixels.shape)
        wanted = self._teach(noisy)
        logits = classify(noisy)
        loss = F.kl_div(logits.log_softmax(1), wanted, reduction="batchmean", log_target=True)
        return Outcome(loss, logits)

    @torch.no_grad()
    def _teach(self, noisy: Tensor) -> Tensor:
        return self.execution.classifier(self.teacher, self.preprocessing)(noisy).log_softmax(1)

    def to_json(self) -> dict[str, Any]:
        """Name and the SHA-256 of the teacher's tensors, as JSON values."""
        digest = hashlib.sha256()
        for key, value in self.teacher.state_dict().items():
            digest.update(key.encode() + b"\0" + array_digest(value.detach().cpu().float().numpy()))
        return {"name": self.name, "teacher": digest.hexdigest()}
