"""One epoch of training: its steps, its accuracies, and what to do when the loss is no number."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.errors import TrainingDiverged
from holdfast.records import Preprocessing
from holdfast.training.batches import Batch, TrainingImages
from holdfast.training.draws import generator, integer_noise
from holdfast.training.evaluate import accuracy
from holdfast.training.history import EpochRecord
from holdfast.training.objectives import Objective, Outcome
from holdfast.training.precision import Execution
from holdfast.training.recipes import Recipe

__all__ = ["EpochRunner", "Images"]

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images uint8 (N, C, H, W) and labels int64 (N,)."""

_CHECK_EVERY = 32
"""Steps between two looks at whether the loss is finite: each look waits for the device."""


class EpochRunner:
    """Runs epochs on a network, which it changes in place.

    Args:
        module: the network, on the execution's device.
        preprocessing: the map from pixels to its input; None for a network that takes grey levels.
        sigma_px: scale of the noise in grey levels.
        recipe: schedule and augmentation.
        seed: of all draws.
        objective: the loss.
        execution: device, number format, compilation.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing | None,
        sigma_px: float,
        recipe: Recipe,
        seed: int,
        objective: Objective,
        execution: Execution,
    ) -> None:
        self.module, self.preprocessing, self.sigma_px = module, preprocessing, sigma_px
        self.recipe, self.seed, self.objective, self.execution = recipe, seed, objective, execution
        self.optimiser = torch.optim.SGD(
            module.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
        self._classify = execution.classifier(module, preprocessing)

    def run(self, data: TrainingImages, epoch: int, validation: Images | None, state_path: Path | None) -> EpochRecord:
        """All steps of epoch number ``epoch``, counted from 0, and its record.

        Raises:
            TrainingDiverged: the loss or a weight became NaN or infinite; the weights are then those before the epoch.
        """
        before = {name: value.clone() for name, value in self.module.state_dict().items()}
        started = time.perf_counter()
        try:
            loss, correct, steps = self._steps(data, epoch)
        except _NotFinite as problem:
            self.module.load_state_dict(before)
            _give_up(str(problem), epoch, state_path, self.recipe)
        seconds = time.perf_counter() - started
        seen = steps * min(self.recipe.batch, len(data))
        clean, noisy = self._accuracies(validation)
        return EpochRecord(
            epoch=epoch + 1,
            seconds=seconds,
            lr=self.recipe.lr_at(epoch),
            train_loss=loss / steps,
            train_accuracy=correct / seen,
            clean_accuracy=clean,
            noisy_accuracy=noisy,
            images_per_second=seen / seconds,
        )

    def _steps(self, data: TrainingImages, epoch: int) -> tuple[float, int, int]:
        """Sum of the losses, correct labels, and number of steps."""
        device = self.execution.device
        noise, steps = generator(self.seed, epoch, "noise", device), data.steps(self.recipe)
        loss, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        self.module.train()
        for step, batch in enumerate(data.epoch(self.recipe, self.seed, epoch)):
            outcome = self._step(batch, self.recipe.lr_at(epoch + step / steps), noise)
            loss += outcome.loss.detach()
            correct += (outcome.logits.argmax(1) == batch.labels).sum()
            if step % _CHECK_EVERY == _CHECK_EVERY - 1:
                _require_finite("the loss", loss)
        _require_finite("the loss", loss)
        for name, value in self.module.state_dict().items():
            _require_finite(f"tensor {name!r}", value)
        return float(loss), int(correct), steps

    def _step(self, batch: Batch, lr: float, noise: torch.Generator) -> Outcome:
        """Descend the loss of one batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        outcome = self.objective(self._classify, batch, lambda shape: _draw(shape, self.sigma_px, noise))
        self.optimiser.zero_grad()
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return outcome

    def _accuracies(self, validation: Images | None) -> tuple[float | None, float | None]:
        """Clean and noisy accuracy; the noise is the same in every epoch."""
        if validation is None:
            return None, None
        arguments = (self.module, *validation, self.preprocessing, self.execution)
        return accuracy(*arguments), accuracy(*arguments, sigma_px=self.sigma_px, seed=self.seed)


class _NotFinite(Exception):
    """Something became NaN or infinite; says what."""


def _require_finite(what: str, value: Tensor) -> None:
    if not torch.isfinite(value).all():
        raise _NotFinite(what)


def _give_up(what: str, epoch: int, state_path: Path | None, recipe: Recipe) -> NoReturn:
    weights = f"its weights after epoch {epoch}" if epoch else "its initial weights"
    kept = f", also kept in {state_path}" if state_path is not None and state_path.exists() else ""
    raise TrainingDiverged(
        f"{what} became NaN or infinite in epoch {epoch + 1}; the network has {weights}{kept}; "
        f"try a lower learning rate than {recipe.lr}"
    ) from None


def _draw(shape: torch.Size, sigma_px: float, source: torch.Generator) -> Tensor:
    """Integer noise, float32 (B, C, H, W) in channels_last order."""
    count, channels, height, width = shape
    return integer_noise((count, height, width, channels), sigma_px, source).permute(0, 3, 1, 2)
