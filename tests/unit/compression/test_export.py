"""Networks as people write them become graphs that give the same logits."""

from __future__ import annotations

import copy
import weakref
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from holdfast.compression.evaluate import each_value, evaluate
from holdfast.compression.export import to_graph
from holdfast.compression.graph import (
    FloatAdd,
    FloatAffine,
    FloatAvgPool,
    FloatClamp,
    FloatConcat,
    FloatConv,
    FloatFlatten,
    FloatGraph,
    FloatInput,
    FloatLinear,
    FloatMaxPool,
    FloatPad,
    FloatSubsample,
    sources_of,
)
from holdfast.errors import ParameterError
from holdfast.models import ModelSpec, build, model_names
from holdfast.records import Preprocessing

from .networks_as_users_write_them import NETWORKS, SHAPE

ROUNDING = 1e-9
"""Relative; both sides compute one formula in float64, in different orders."""


def with_life(module: nn.Module) -> nn.Module:
    """The module with batch norms that have seen something: statistics and weights far from zero and one."""
    torch.manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.5)
            layer.running_var.uniform_(0.3, 3)
            if layer.affine:
                nn.init.uniform_(layer.weight, -1.5, 1.5)
                nn.init.normal_(layer.bias)
    return module


def require_same_logits(graph: FloatGraph, module: nn.Module, shape: tuple[int, int, int], images: int = 5) -> None:
    """Compare on random images with what the module itself computes in float64."""
    batch = 2 * torch.randn((images, *shape), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = copy.deepcopy(module).double().eval()(batch.clone())
    found = evaluate(graph, batch)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float64
    assert wanted.std() > 0
    assert float((found - wanted).abs().max()) <= ROUNDING * float(wanted.abs().max())


def require_whole(graph: FloatGraph) -> None:
    """Names differ, sources come before, every value is read, shapes and number formats are as they are stated."""
    assert isinstance(graph.nodes[0], FloatInput)
    assert len({node.name for node in graph.nodes}) == len(graph.nodes) == len(graph.shapes)
    read = {source for node in graph.nodes for source in sources_of(node)}
    assert read == set(range(len(graph.nodes) - 1))
    assert all(source < position for position, node in enumerate(graph.nodes) for source in sources_of(node))
    batch = torch.randn((2, *graph.shapes[0]), dtype=torch.float64)
    assert [tuple(value.shape[1:]) for _, value in each_value(graph, batch)] == list(graph.shapes)
    for node in graph.nodes:
        for name in ("weight", "bias", "scale", "shift"):
            parameter = getattr(node, name, None)
            assert parameter is None or (parameter.dtype == torch.float64 and not parameter.requires_grad)


def kinds(graph: FloatGraph) -> Counter[type]:
    return Counter(type(node) for node in graph.nodes)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_users_write_them_give_the_same_logits(name: str) -> None:
    torch.manual_seed(0)
    module = with_life(NETWORKS[name]())
    graph = to_graph(module, SHAPE)
    require_whole(graph)
    assert graph.shapes[-1] == (5,)
    require_same_logits(graph, module, SHAPE)


@pytest.mark.parametrize("name", model_names())
def test_every_model_of_the_package_gives_the_same_logits(name: str) -> None:
    shape = (3, 40, 40) if name == "resnet50" else (3, 16, 16)
    options = {"mlp": {"widths": [16, 8], "batch_norm": True}}.get(name, {})
    spec = ModelSpec(name, 10, shape, Preprocessing((0.5,) * 3, (0.25,) * 3), options)
    module = with_life(build(spec, seed=0))
    graph = to_graph(module, shape)
    require_whole(graph)
    require_same_logits(graph, module, shape, images=2)
    assert kinds(graph)[FloatAffine] == 0, "every batch norm of these models follows a layer with weights"


def test_resnet20_is_the_list_of_operations_it_is_drawn_as() -> None:
    spec = ModelSpec("resnet20", 10, (3, 32, 32), Preprocessing((0.5,) * 3, (0.25,) * 3))
    graph = to_graph(build(spec, seed=0), (3, 32, 32))
    assert kinds(graph) == {
        FloatInput: 1, FloatConv: 19, FloatClamp: 19, FloatAdd: 9, FloatSubsample: 2, FloatPad: 2,
        FloatAvgPool: 1, FloatFlatten: 1, FloatLinear: 1,
    }  # fmt: skip
    shapes = {node.name: shape for node, shape in zip(graph.nodes, graph.shapes, strict=True)}
    assert shapes["stage2.0.conv1"] == shapes["stage2.0.add"] == shapes["stage2.0.shortcut.pad"] == (32, 16, 16)
    assert shapes["pool"] == (64, 1, 1)
    subsample = next(node for node in graph.nodes if isinstance(node, FloatSubsample))
    assert (subsample.name, subsample.stride) == ("stage2.0.shortcut.slice", (2, 2))
    pad = next(node for node in graph.nodes if isinstance(node, FloatPad))
    assert (pad.before, pad.after) == ((8, 0, 0), (8, 0, 0))


def test_the_module_is_left_as_it_was() -> None:
    module = NETWORKS["in-place-sequential"]()
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    to_graph(module, SHAPE)
    assert all(layer.training for layer in module.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(p.dtype == torch.float32 and p.requires_grad for p in module.parameters())


def test_a_layer_used_thrice_appears_thrice() -> None:
    graph = to_graph(NETWORKS["shared-layers"](), SHAPE)
    assert [n.name for n in graph.nodes if isinstance(n, FloatConv)] == ["stem", "conv", "conv#2", "conv#3"]
    assert [n.name for n in graph.nodes if isinstance(n, FloatClamp)] == ["relu", "relu#2", "relu#3"]


def test_what_an_in_place_operation_changes_is_changed_for_all_who_read_it() -> None:
    """In the pre-activation block both the convolution and the addition read the batch norm's value after the ReLU."""
    graph = to_graph(with_life(NETWORKS["pre-activation"]()), SHAPE)
    clamp = next(i for i, node in enumerate(graph.nodes) if isinstance(node, FloatClamp))
    assert Counter(type(node) for node in graph.nodes if clamp in sources_of(node)) == {FloatConv: 1, FloatAdd: 1}
    assert kinds(graph)[FloatAffine] == 2, "a batch norm that is not alone behind a layer stays"


def test_batch_norm_is_folded_only_where_nobody_else_reads_the_layer() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return (self.norm(y) + y).flatten(1)

    module = with_life(Both())
    graph = to_graph(module, SHAPE)
    assert [type(node) for node in graph.nodes[1:]] == [FloatConv, FloatAffine, FloatAdd, FloatFlatten]
    conv = graph.nodes[1]
    assert isinstance(conv, FloatConv)
    assert torch.equal(conv.weight, module.conv.weight.double())
    require_same_logits(graph, module, SHAPE)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("option-a")])
def test_a_shortcut_without_parameters_is_subsampling_and_zero_channels(name: str) -> None:
    graph = to_graph(NETWORKS[name](), SHAPE)
    found = kinds(graph)
    assert (found[FloatSubsample], found[FloatPad], found[FloatConcat], found[FloatAffine]) == (1, 1, 0, 0)
    pad = next(node for node in graph.nodes if isinstance(node, FloatPad))
    assert pad.before[0] + pad.after[0] == 4
    assert pad.before[1:] == pad.after[1:] == (0, 0)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_zeros_before_a_convolution_become_its_padding() -> None:
    graph = to_graph(NETWORKS["windows"](), SHAPE)
    assert kinds(graph)[FloatPad] == 0
    convolutions = {node.name: node.padding for node in graph.nodes if isinstance(node, FloatConv)}
    assert convolutions == {"same": (1, 2, 1, 2), "valid": (0, 0, 0, 0), "strided": (3, 2, 0, 1)}
    pools = [node.padding for node in graph.nodes if isinstance(node, FloatAvgPool)]
    assert pools[0] == (1, 1, 1, 1)


@pytest.mark.parametrize("size", range(5, 12))
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (2, 3, 1), (5, 3, 2)]
)
def test_windows_of_a_rounded_up_count_are_padding_at_the_end(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)
    module = nn.Sequential(pool, nn.Flatten())
    rows = pool(torch.zeros(1, 1, size, size + 1)).shape[2]
    graph = to_graph(module, (2, size, size + 1))
    node = graph.nodes[1]
    assert isinstance(node, FloatMaxPool)
    assert (rows - 1) * stride + kernel <= size + node.padding[0] + node.padding[1]
    require_same_logits(graph, module, (2, size, size + 1))


def test_parameters_are_those_of_a_float64_network_unrounded() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        module[1].weight.copy_(torch.arange(12).view(3, 4) / 3 + 1e-12)
    linear = to_graph(module, (1, 2, 2)).nodes[-1]
    assert isinstance(linear, FloatLinear)
    assert torch.equal(linear.weight, module[1].weight)
    assert torch.equal(linear.bias, module[1].bias)


def test_values_are_let_go_once_read() -> None:
    graph = to_graph(NETWORKS["shared-layers"](), SHAPE)
    values: list[weakref.ref[Tensor]] = []
    for position, value in each_value(graph, torch.randn((2, *SHAPE))):
        assert position == len(values)
        values.append(weakref.ref(value))
        assert sum(reference() is not None for reference in values) <= 3, (
            "in a chain: the value, what it was made of, and what that is a view of"
        )
    assert len(values) == len(graph.nodes)


def test_images_of_another_shape_are_refused() -> None:
    graph = to_graph(nn.Sequential(nn.Flatten(), nn.Linear(432, 5)), SHAPE)
    with pytest.raises(ParameterError, match=r"takes \(N, 3, 12, 12\) images, not \(2, 3, 12, 11\)"):
        evaluate(graph, torch.zeros(2, 3, 12, 11))
