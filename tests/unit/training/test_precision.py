"""How a network is run: what is chosen, and that the choice does what it says."""

from __future__ import annotations

import pytest
import torch

from holdfast.errors import ParameterError
from holdfast.models import ModelSpec, build, to_input
from holdfast.records import Preprocessing
from holdfast.training.precision import choose, compiling_pays

CPU = torch.device("cpu")
P = Preprocessing((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
SPEC = ModelSpec("resnet20", 10, (3, 32, 32), P)


def test_float32_is_the_plain_network_and_bfloat16_is_close() -> None:
    module = build(SPEC, seed=0).eval()
    pixels = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()
    plain = module(to_input(pixels, P, memory_format=torch.channels_last))
    single = choose("cpu", "float32").classifier(module, P)(pixels)
    half = choose("cpu", "bfloat16").classifier(module, P)(pixels)
    assert torch.equal(plain, single)
    assert half.dtype == torch.float32
    assert not torch.equal(plain, half)
    torch.testing.assert_close(plain, half, rtol=0.1, atol=0.1)


def test_the_choice_repeats() -> None:
    assert choose() == choose()
    assert choose().precision in ("float32", "bfloat16")


def test_compiling_pays_for_long_trainings_with_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(SPEC, seed=0)
    assert not compiling_pays(module, 50_000, CPU)
    assert not compiling_pays(module, 10**9, torch.device("cuda"))
    assert not compiling_pays(build(ModelSpec("mlp", 10, (3, 32, 32), P), seed=0), 10**9, CPU)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not compiling_pays(module, 10**9, CPU)


@pytest.mark.parametrize("device", ["meta-physics", "cuda:99"])
def test_devices_that_are_not_there_are_refused(device: str) -> None:
    with pytest.raises(ParameterError, match="cannot be used here"):
        choose(device)
