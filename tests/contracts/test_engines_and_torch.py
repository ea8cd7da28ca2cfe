"""The engine beside torch on one thread: both may use the processor's matrix tiles, whose shape belongs to the thread."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from native_engine import HERE, NEEDED
from tile_programs import NETWORKS

from holdfast.engine.native import NativeNetwork

pytestmark = NEEDED


@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize("name", sorted(NETWORKS)[:3])
def test_neither_disturbs_the_other(isa: str, name: str) -> None:
    random = torch.Generator().manual_seed(0)
    values, weights = (torch.randn(shape, generator=random).bfloat16() for shape in ((8, 32, 16, 16), (32, 32, 3, 3)))
    left, right = (torch.randn(64, 64, generator=random).bfloat16() for _ in range(2))

    def by_torch() -> tuple[torch.Tensor, torch.Tensor]:
        return torch.nn.functional.conv2d(values, weights, None, 1, 1), left @ right

    network, expected = NETWORKS[name], by_torch()
    images = np.random.default_rng(1).integers(-60, 316, (5, *network.shape)).astype(np.int16)
    logits, engine = network.logits(images), NativeNetwork(network, isa)
    for count in (1, 5, 2, 3):
        np.testing.assert_array_equal(engine.logits(images[:count]), logits[:count])
        assert all(torch.equal(*pair) for pair in zip(by_torch(), expected, strict=True))
