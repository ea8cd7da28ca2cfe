"""Batches: every image once per epoch, and augmentation equal to shifting and mirroring one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.training.batches import TrainingImages, reflect
from holdfast.training.draws import generator
from holdfast.training.recipes import Recipe, named

CPU = torch.device("cpu")


def data(count: int, shape: tuple[int, int, int] = (3, 6, 7)) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *shape), generator=source, dtype=torch.uint8)
    return images, torch.arange(count)


def recipe(batch: int, crop: int = 0, flip: bool = False) -> Recipe:
    return named("quick", batch=batch, crop=crop, flip=flip)


def test_an_epoch_shows_every_image_once_and_leaves_out_the_rest() -> None:
    images, labels = data(23)
    batches = list(TrainingImages(images, labels, CPU).epoch(recipe(5), seed=0, epoch=0))
    seen = torch.cat([batch.labels for batch in batches])
    assert len(batches) == 4
    assert len(set(seen.tolist())) == 20
    for batch in batches:
        assert batch.pixels.dtype == torch.float32
        assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(batch.pixels, images[batch.labels].float())


def test_fewer_images_than_a_batch_make_one_step() -> None:
    images, labels = data(3)
    [batch] = TrainingImages(images, labels, CPU).epoch(recipe(5), seed=0, epoch=0)
    assert sorted(batch.labels.tolist()) == [0, 1, 2]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    images = TrainingImages(*data(40), CPU)
    orders = [[b.labels.tolist() for b in images.epoch(recipe(8), s, e)] for s, e in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != orders[3]


@pytest.mark.parametrize("shape", [(3, 6, 7), (1, 5, 5)])
def test_augmentation_is_a_crop_of_the_reflected_image_then_a_mirror(shape: tuple[int, int, int]) -> None:
    count, crop = 64, 3
    images, labels = data(count, shape)
    [batch] = TrainingImages(images, labels, CPU).epoch(recipe(count, crop, True), seed=4, epoch=2)
    source = generator(4, 2, "augment")
    shift = torch.randint(-crop, crop + 1, (2, count, 1), generator=source)[:, :, 0].tolist()
    mirrored = (torch.rand(count, 1, generator=source) < 0.5)[:, 0].tolist()
    assert 0 < sum(mirrored) < count
    height, width = shape[1:]
    for i, label in enumerate(batch.labels.tolist()):
        padded = np.pad(images[label].numpy(), ((0, 0), (crop, crop), (crop, crop)), mode="reflect")
        top, left = crop + shift[0][i], crop + shift[1][i]
        wanted = padded[:, top : top + height, left : left + width]
        wanted = wanted[:, :, ::-1] if mirrored[i] else wanted
        assert np.array_equal(batch.pixels[i].numpy(), wanted.astype(np.float32))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_reflection_stays_inside_for_any_shift(size: int) -> None:
    positions = reflect(torch.arange(-20, 20), size)
    assert int(positions.min()) == 0
    assert int(positions.max()) == size - 1
    assert torch.equal(reflect(torch.arange(size), size), torch.arange(size))
