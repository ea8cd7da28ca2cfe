"""The training loop: epochs of steps, noise on integers, a state file after every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.errors import ParameterError
from holdfast.models.user_module import check_logits
from holdfast.records import Preprocessing
from holdfast.training import state
from holdfast.training.batches import TrainingImages
from holdfast.training.draws import sigma_fraction
from holdfast.training.epoch import EpochRunner, Images
from holdfast.training.history import EpochRecord, write_csv
from holdfast.training.objectives import Gaussian, Objective
from holdfast.training.precision import Precision, choose, compiling_pays
from holdfast.training.recipes import Recipe
from holdfast.training.settings import training_settings

__all__ = ["TrainingResult", "train"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training did.

    Attributes:
        history: one record per epoch, those before an interruption included.
        resumed_from: epochs that were already done when this call began.
        settings: everything the weights are a function of on one machine, as JSON values.
    """

    history: tuple[EpochRecord, ...]
    resumed_from: int
    settings: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Seconds of all training steps."""
        return sum(record.seconds for record in self.history)


def train(
    module: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    preprocessing: Preprocessing | None,
    sigma: Fraction | str,
    recipe: Recipe,
    seed: int = 0,
    objective: Objective | None = None,
    device: str = "cpu",
    precision: Precision = "auto",
    compiled: bool | None = None,
    state_path: Path | None = None,
    log_path: Path | None = None,
    validation: Images | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> TrainingResult:
    """Train a network in place, under integer noise.

    All randomness is a function of ``seed`` and the epoch. With ``state_path``, a training that was stopped at any
    moment and is called again with the same arguments continues after the last whole epoch and ends, on the same
    machine with the same number of CPU threads, with the same weights, bit for bit. (On a GPU, whose sums have no
    fixed order, with the same draws but not the same last bits.)

    Args:
        module: from (N, C, H, W) preprocessed images to (N, classes) logits, with its initial weights. Afterwards it
            is on ``device``, in channels_last layout, in evaluation mode.
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        preprocessing: the map from pixels to the network's input; None for a network that takes grey levels.
        sigma: scale of the noise in [0, 1] image units, exact: a decimal text or a Fraction; 0 is no noise.
        recipe: schedule and augmentation.
        seed: of order, augmentation and noise. (The initial weights are the module's.)
        objective: the loss; by default :class:`Gaussian` with the recipe's label smoothing.
        device: ``cpu``, ``cuda``, ...
        precision: ``auto``, ``float32`` or ``bfloat16``.
        compiled: whether steps run through ``torch.compile``; None does where :func:`compiling_pays`.
        state_path: file to continue from, written after every epoch.
        log_path: CSV file, rewritten after every epoch.
        validation: images and labels of which clean and noisy accuracy are logged; nothing is selected by them.
        on_epoch: called after every epoch, once its state is on the disk.

    Raises:
        ParameterError: an argument is out of its range, or images, labels and network do not match.
        RunMismatch: the state file belongs to a training with other settings.
        ModelFileError: the state file is damaged.
        TrainingDiverged: the loss or a weight became NaN or infinite. The module then has the weights after the last
            good epoch, which the state file keeps too.
        KeyboardInterrupt: passed on, with a note on how to continue.
    """
    _check_data(module, images, labels)
    execution = choose(device, precision, bool(compiled))
    if compiled is None and compiling_pays(module, recipe.epochs * len(images), execution.device):
        execution = replace(execution, compiled=True)
    objective = objective or Gaussian(recipe.label_smoothing)
    fraction = sigma_fraction(sigma)
    settings = training_settings(
        module, images, labels, preprocessing, fraction, recipe, seed, objective=objective, execution=execution
    )
    module.to(device=execution.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    runner = EpochRunner(module, preprocessing, float(255 * fraction), recipe, seed, objective, execution)
    history: list[EpochRecord] = []
    if state_path is not None and state_path.exists():
        history = state.restore(state_path, module, runner.optimiser, settings)
    done, data = len(history), TrainingImages(torch.tensor(images), torch.tensor(labels), execution.device)
    try:
        for epoch in range(done, recipe.epochs):
            history.append(runner.run(data, epoch, validation, state_path))
            if state_path is not None:
                state.save(state_path, module, runner.optimiser, settings, history)
            if log_path is not None:
                write_csv(log_path, history)
            if on_epoch is not None:
                on_epoch(history[-1])
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(_how_to_continue(state_path, recipe.epochs))
        raise
    module.eval()
    return TrainingResult(tuple(history), done, settings)


def _check_data(module: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ParameterError(f"images must be uint8 (N, C, H, W) with N >= 1, not {images.dtype} {images.shape}")
    if labels.shape != (len(images),) or labels.dtype != np.int64:
        raise ParameterError(f"labels must be int64 ({len(images)},), not {labels.dtype} {labels.shape}")
    channels, height, width = images.shape[1:]
    classes = check_logits(module, (channels, height, width))
    if labels.min() < 0 or labels.max() >= classes:
        raise ParameterError(
            f"labels go from {labels.min()} to {labels.max()}, but the network has {classes} logits: 0 to {classes - 1}"
        )


def _how_to_continue(state_path: Path | None, epochs: int) -> str:
    if state_path is None or not state_path.exists():
        return "no epoch was kept: the training would start from the beginning"
    done = len(state.read_history(state_path))
    return f"{done} of {epochs} epochs are kept in {state_path}; the same call continues from there"
