"""Accuracy without noise and with one draw of noise per image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.models import to_input
from holdfast.records import Preprocessing
from holdfast.training.draws import generator, integer_noise
from holdfast.training.precision import Execution

__all__ = ["accuracy"]

_BLOCK = 250


def accuracy(
    module: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocessing: Preprocessing | None,
    execution: Execution,
    *,
    sigma_px: float = 0.0,
    seed: int = 0,
) -> float:
    """Share of images whose label the network gives; an estimate that certifies nothing.

    Args:
        module: from preprocessed images to logits, on ``execution``'s device. Its mode is restored.
        images: uint8 (N, C, H, W), N at least 1.
        labels: int64 (N,).
        preprocessing: the map from pixels to the network's input; None for a network that takes grey levels.
        execution: device and number format.
        sigma_px: scale of the noise in grey levels, one draw per image; 0 is the clean accuracy.
        seed: of the noise.

    Returns:
        A share in [0, 1].
    """
    source = generator(seed, 0, "evaluate", execution.device)
    was_training = module.training
    module.eval()
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(images), _BLOCK):
            pixels = torch.tensor(images[start : start + _BLOCK]).to(execution.device, torch.float32)
            noisy = pixels + integer_noise(tuple(pixels.shape), sigma_px, source)
            with execution.autocast():
                logits = module(to_input(noisy, preprocessing, memory_format=torch.channels_last))
            wanted = torch.tensor(labels[start : start + _BLOCK]).to(execution.device)
            correct += int((logits.argmax(1) == wanted).sum())
    module.train(was_training)
    return correct / len(images)
