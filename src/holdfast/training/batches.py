"""Batches of augmented images: one gather per batch, shifts, mirror images and reflected borders included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from holdfast.training.draws import generator
from holdfast.training.recipes import Recipe

__all__ = ["Batch", "TrainingImages", "reflect"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one step.

    Attributes:
        pixels: float32 (B, C, H, W) in channels_last order, integers from 0 to 255.
        labels: int64 (B,).
    """

    pixels: Tensor
    labels: Tensor


class TrainingImages:
    """Training images on a device, from which batches are drawn.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        device: where batches are made.
    """

    def __init__(self, images: Tensor, labels: Tensor, device: torch.device) -> None:
        self.shape = tuple(images.shape[1:])
        channels, height, width = self.shape
        rows = images.permute(0, 2, 3, 1).reshape(len(images) * height * width, channels)
        self._pixels = rows.contiguous().to(device)
        self._labels = labels.to(device)
        self._device = device

    def __len__(self) -> int:
        return len(self._labels)

    def steps(self, recipe: Recipe) -> int:
        """Steps per epoch: whole batches; what is left over is drawn in other epochs."""
        return max(1, len(self) // recipe.batch)

    def epoch(self, recipe: Recipe, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, a function of ``seed`` and ``epoch`` alone.

        Every image appears at most once; the last ``N mod batch`` of the epoch's order are left out.
        """
        order = torch.randperm(len(self), generator=generator(seed, epoch, "order"))
        source = generator(seed, epoch, "augment")
        size = min(recipe.batch, len(self))
        for step in range(self.steps(recipe)):
            index = order[step * size : (step + 1) * size]
            yield self._batch(index, recipe, source)

    def _batch(self, index: Tensor, recipe: Recipe, source: torch.Generator) -> Batch:
        channels, height, width = self.shape
        coordinates = self._coordinates(len(index), recipe, source)
        images, ys, xs = (tensor.to(self._device) for tensor in (index, *coordinates))
        flat = (images[:, None, None] * height + ys[:, :, None]) * width + xs[:, None, :]
        taken = self._pixels.index_select(0, flat.flatten())
        pixels = taken.view(len(index), height, width, channels).permute(0, 3, 1, 2)
        return Batch(pixels.to(torch.float32), self._labels[images])

    def _coordinates(self, count: int, recipe: Recipe, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows (count, H) and columns (count, W) that each image's pixels are taken from."""
        _, height, width = self.shape
        ys, xs = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
        if recipe.crop:
            shift = torch.randint(-recipe.crop, recipe.crop + 1, (2, count, 1), generator=source)
            ys, xs = reflect(ys + shift[0], height), reflect(xs + shift[1], width)
        if recipe.flip:
            mirrored = torch.rand(count, 1, generator=source) < 0.5
            xs = torch.where(mirrored, xs.flip(1), xs)
        return ys, xs


def reflect(position: Tensor, size: int) -> Tensor:
    """Positions outside ``0 .. size - 1`` reflected at the border pixels, which are not repeated.

    Example:
        >>> reflect(torch.arange(-2, 6), 4).tolist()
        [2, 1, 0, 1, 2, 3, 2, 1]
    """
    if size == 1:
        return torch.zeros_like(position)
    period = 2 * (size - 1)
    folded = position.remainder(period)
    return torch.minimum(folded, period - folded)
