"""Parameter counts, shapes, and that every family can be exported as a graph of plain operations."""

from __future__ import annotations

import pytest
import torch

from holdfast.errors import ParameterError
from holdfast.models import ModelSpec, build, model_names
from holdfast.models.cifar_resnet import SubsampleAndPad
from holdfast.records import Preprocessing

COLOUR = Preprocessing((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
GREY = Preprocessing((0.5,), (0.25,))


def spec(name: str, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10, **options: object) -> ModelSpec:
    return ModelSpec(name, classes, shape, COLOUR if shape[0] == 3 else GREY, options)


def cifar_resnet_parameters(blocks: int, classes: int) -> int:
    """Counted by hand: convolutions without bias, two numbers per BatchNorm channel, a linear layer."""
    total, inputs = 3 * 16 * 9 + 2 * 16, 16
    for width in (16, 32, 64):
        for _ in range(blocks):
            total += 9 * inputs * width + 9 * width * width + 4 * width
            inputs = width
    return total + 64 * classes + classes


@pytest.mark.parametrize(
    ("name", "blocks", "parameters"),
    [
        ("resnet20", 3, 269_722),
        ("resnet32", 5, 464_154),
        ("resnet34", 6, 561_370),
        ("resnet44", 7, 658_586),
        ("resnet56", 9, 853_018),
        ("resnet110", 18, 1_727_962),
    ],
)
def test_cifar_resnets_have_the_published_number_of_parameters(name: str, blocks: int, parameters: int) -> None:
    module = build(spec(name), seed=0)
    assert sum(p.numel() for p in module.parameters()) == parameters == cifar_resnet_parameters(blocks, 10)
    weighted = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weighted) == 6 * blocks + 2


@pytest.mark.parametrize(("classes", "parameters"), [(1000, 25_557_032), (102, 23_508_032 + 2048 * 102 + 102)])
def test_resnet50_has_the_published_number_of_parameters(classes: int, parameters: int) -> None:
    with torch.device("meta"):
        module = build(spec("resnet50", (3, 224, 224), classes))
    assert sum(p.numel() for p in module.parameters()) == parameters
    state = module.state_dict()
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert "layer1.1.downsample.0.weight" not in state


def test_small_networks_have_the_number_of_parameters_of_their_options() -> None:
    mlp = build(spec("mlp", (1, 8, 8), widths=[32, 16]), seed=0)
    assert sum(p.numel() for p in mlp.parameters()) == 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10
    linear = build(spec("mlp", (1, 8, 8), widths=[]), seed=0)
    assert sum(p.numel() for p in linear.parameters()) == 64 * 10 + 10
    cnn = build(spec("cnn-small", (1, 28, 28), widths=[8, 16]), seed=0)
    assert sum(p.numel() for p in cnn.parameters()) == 9 * 8 + 16 + 9 * 8 * 16 + 32 + 16 * 10 + 10
    normed = build(spec("mlp", (1, 8, 8), widths=[32], batch_norm=True), seed=0)
    assert sum(p.numel() for p in normed.parameters()) == 64 * 32 + 64 + 32 * 10 + 10


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mlp", (1, 8, 8)),
        ("mlp", (3, 32, 32)),
        ("cnn-small", (1, 8, 8)),
        ("cnn-small", (1, 28, 28)),
        ("resnet20", (3, 32, 32)),
        ("resnet20", (1, 28, 28)),
        ("resnet56", (3, 32, 32)),
        ("resnet50", (3, 64, 64)),
    ],
)
def test_logits_have_one_row_per_image_and_do_not_depend_on_the_layout(name: str, shape: tuple[int, int, int]) -> None:
    module = build(spec(name, shape, 7), seed=0).eval()
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = module(x)
        again = module(x.to(memory_format=torch.channels_last))
    assert logits.shape == (3, 7)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, again, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "shape"), [("mlp", (1, 8, 8)), ("cnn-small", (1, 28, 28)), ("resnet20", (3, 32, 32))])
def test_networks_export_as_a_graph(name: str, shape: tuple[int, int, int]) -> None:
    module = build(spec(name, shape), seed=0).eval()
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    graph = torch.export.export(module, (x,)).module()
    with torch.inference_mode():
        assert torch.equal(graph(x), module(x))


def test_the_shortcut_subsamples_and_pads_channels_on_both_sides() -> None:
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    y = SubsampleAndPad(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert not y[:, 0].any()
    assert not y[:, 3].any()
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])


def test_a_seed_makes_weights_repeat_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (build(spec("resnet20"), seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["conv.weight"], other["conv.weight"])
    build(spec("mlp", (1, 8, 8)))
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (spec("resnet21"), "no network is called 'resnet21'"),
        (spec("resnet20", depth=3), "no option 'depth'"),
        (spec("resnet20", width=0), "width"),
        (spec("resnet20", width=True), "width"),
        (spec("resnet20", width="16"), "width"),
        (spec("mlp", widths=3), "widths"),
        (spec("mlp", widths=[3, -1]), "widths"),
        (spec("mlp", batch_norm=1), "batch_norm"),
        (spec("cnn-small", widths=[]), "at least one"),
        (spec("resnet50", width=16), "no option 'width'"),
    ],
)
def test_unknown_networks_and_options_are_refused(bad: ModelSpec, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        build(bad)


def test_every_name_is_built() -> None:
    for name in model_names():
        with torch.device("meta"):
            assert build(spec(name)).training
