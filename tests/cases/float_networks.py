"""Random small float networks, written as users write them, over every operation that conversion supports.

A network is a function of the names of its blocks, of its head, the image's shape and a seed, so a failure is reproduced
from what the test prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Drawn:
    """What a network is made from; blocks of flat values take part if the head reads one."""

    shape: tuple[int, int, int]
    blocks: tuple[str, ...]
    flat: tuple[str, ...]
    head: str
    seed: int


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """One or three channels, sides of 3 to 7, up to four blocks before and two after the flattening."""
    shape = (draw(st.sampled_from([1, 3])), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
    blocks = draw(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4))
    flat = draw(st.lists(st.sampled_from(sorted(FLAT_BLOCKS)), max_size=2))
    head = draw(st.sampled_from(sorted(IMAGE_HEADS | FLAT_HEADS)))
    return Drawn(shape, tuple(blocks), tuple(flat), head, draw(st.integers(0, 2**32 - 1)))


def make_network(given: Drawn) -> nn.Sequential:
    """The network, with random weights and running statistics, in evaluation mode."""
    maker = _Maker(np.random.default_rng(given.seed), given.shape)
    maker.add(maker.conv(maker.width()), maker.norm(), nn.ReLU(inplace=True))
    for name in given.blocks:
        BLOCKS[name](maker)
    if given.head in IMAGE_HEADS:
        IMAGE_HEADS[given.head](maker)
        return maker.network
    maker.add(nn.Flatten())
    for name in given.flat:
        FLAT_BLOCKS[name](maker)
    FLAT_HEADS[given.head](maker)
    return maker.network


class Sum(nn.Module):
    """``after(a(x) + b(x))``."""

    def __init__(self, a: nn.Module, b: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.a, self.b, self.after = a, b, after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.a(x) + self.b(x))


class Twice(nn.Module):
    """``y + relu(y)`` for ``y = inner(x)``: a value with two readers."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        return y + F.relu(y)


class Joined(nn.Module):
    """The channels of several branches."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Function(nn.Module):
    """A function without weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def fill(module: nn.Module, random: np.random.Generator) -> None:
    """Random weights whose channels differ in size by up to a hundred, and random running statistics."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            sizes = 10.0 ** random.choice([-1.0, 0.0, 0.0, 0.0, 1.0], len(part.weight))
            weight = random.normal(0, 1.4 / part.weight[0].numel() ** 0.5, part.weight.shape)
            _set(part.weight, weight * sizes.reshape(-1, *(1,) * (weight.ndim - 1)))
            _set(part.bias, random.normal(0, 0.5, len(part.weight)))
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for parameter, values in (
                (part.running_mean, random.normal(0, 0.5, part.num_features)),
                (part.running_var, random.uniform(0.1, 3, part.num_features)),
                (part.weight, random.normal(1, 0.6, part.num_features)),
                (part.bias, random.normal(0, 0.5, part.num_features)),
            ):
                _set(parameter, values)


def _set(parameter: Tensor | None, values: NDArray[np.float64]) -> None:
    if parameter is not None:
        with torch.no_grad():
            parameter.copy_(torch.tensor(values))


@dataclass
class _Maker:
    """The layers so far, and the shape of their value."""

    random: np.random.Generator
    shape: tuple[int, ...]
    network: nn.Sequential = field(default_factory=lambda: nn.Sequential().eval())
    outputs: int = 0

    def add(self, *layers: nn.Module) -> None:
        for layer in layers:
            fill(layer, self.random)
            self.network.append(layer.eval())
            with torch.no_grad():
                self.shape = tuple(layer(torch.zeros(1, *self.shape)).shape[1:])

    def pick(self, *choices: int) -> int:
        return int(self.random.choice(choices))

    def width(self) -> int:
        return self.pick(2, 3, 4, 6)

    def activation(self) -> nn.Module:
        kinds: list[Callable[[], nn.Module]] = [
            nn.ReLU,
            nn.ReLU6,
            nn.Hardtanh,
            nn.Identity,
            lambda: nn.Hardtanh(-0.3, 0.7),
            lambda: Function(lambda x: torch.clamp(x, min=-0.5)),
            lambda: Function(lambda x: F.relu(x).clamp_(max=1.5)),
        ]
        return kinds[self.pick(*range(len(kinds)))]()

    def norm(self) -> nn.Module:
        return nn.BatchNorm2d(self.outputs)

    def conv(self, outputs: int, groups: int = 1) -> nn.Conv2d:
        """Any kernel, stride, padding and dilation that fit."""
        self.outputs = outputs
        (kernel, stride, padding, dilation) = zip(*(self.window(side) for side in self.shape[1:]), strict=True)
        bias = bool(self.pick(0, 1))
        return nn.Conv2d(self.shape[0], outputs, kernel, stride, padding, dilation, groups, bias)  # type: ignore[arg-type]

    def same(self, outputs: int) -> nn.Conv2d:
        """A convolution that keeps the sides; with an even kernel its padding is not the same on both."""
        self.outputs = outputs
        return nn.Conv2d(self.shape[0], outputs, self.pick(1, 2, 3), padding="same", bias=bool(self.pick(0, 1)))

    def body(self, outputs: int) -> nn.Sequential:
        return nn.Sequential(self.same(outputs), self.norm(), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1))

    def window(self, side: int) -> tuple[int, int, int, int]:
        kernel, dilation = self.pick(1, 2, 3), self.pick(1, 1, 2)
        reach = dilation * (kernel - 1) + 1
        least = max(0, -(-(reach - side) // 2))
        return kernel, self.pick(1, 1, 2), least + self.pick(0, 1), dilation


def _conv(make: _Maker) -> None:
    make.add(make.conv(make.width()), make.norm(), make.activation())


def _grouped(make: _Maker) -> None:
    make.add(nn.Conv2d(make.shape[0], 2 * make.width(), 1), make.activation())
    make.add(make.conv(make.shape[0], groups=2), make.norm(), make.activation())


def _depthwise(make: _Maker) -> None:
    make.add(make.conv(2 * make.shape[0], groups=make.shape[0]), make.norm(), nn.ReLU6(inplace=True))
    make.add(nn.Conv2d(make.shape[0], make.width(), 1, bias=False), make.activation())


def _max_pool(make: _Maker) -> None:
    """Of negative values too, where a padded zero must not win."""
    make.add(nn.Conv2d(make.shape[0], make.width(), 1))
    rows, columns = make.shape[1:]
    dilation = make.pick(1, 2) if min(rows, columns) >= 3 else 1
    kernel = min(2, rows, columns)
    ceil = bool(make.pick(0, 1))
    make.add(nn.MaxPool2d(kernel, make.pick(1, 2), make.pick(0, kernel // 2), dilation, ceil_mode=ceil))


def _average_pool(make: _Maker) -> None:
    kernel = min(make.pick(2, 3), *make.shape[1:])
    make.add(nn.AvgPool2d(kernel, make.pick(1, 2), make.pick(0, kernel // 2)), make.activation())


def _adaptive_pool(make: _Maker) -> None:
    rows, columns = (side // 2 if side % 2 == 0 else side for side in make.shape[1:])
    kind = nn.AdaptiveAvgPool2d if make.pick(0, 1) else nn.AdaptiveMaxPool2d
    make.add(kind((rows, columns)))


def _padding(make: _Maker) -> None:
    """Read by a pool, where it stays an operation, or by a convolution, which takes it in."""
    make.add(nn.ZeroPad2d((make.pick(0, 1), make.pick(1, 2), 1, make.pick(0, 1))))
    make.add(nn.MaxPool2d(2, 1) if make.pick(0, 1) else make.conv(make.width()), make.activation())


def _subsample(make: _Maker) -> None:
    step = make.pick(2, 3)
    make.add(Function(lambda x: x[:, :, ::step, ::2]))


def _norm(make: _Maker) -> None:
    """After a clamp no layer takes it in."""
    make.add(nn.ReLU(), nn.BatchNorm2d(make.shape[0]), make.activation())


def _clamp(make: _Maker) -> None:
    """After a pool it belongs to no layer."""
    make.add(nn.MaxPool2d(1 + (min(make.shape[1:]) > 1), 1), nn.Hardtanh(-0.2, 0.4))


def _identity_shortcut(make: _Maker) -> None:
    make.add(Sum(make.body(make.shape[0]), nn.Identity(), make.activation()))


def _option_a(make: _Maker) -> None:
    channels = make.shape[0]

    def shortcut(x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, channels // 2, channels - channels // 2))

    body = nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * channels))
    make.add(Sum(body, Function(shortcut), nn.ReLU()))


def _projection(make: _Maker) -> None:
    width = make.width()
    shortcut = nn.Sequential(nn.Conv2d(make.shape[0], width, 1, bias=False), nn.BatchNorm2d(width))
    make.add(Sum(make.body(width), shortcut, make.activation()))


def _stand_alone_sum(make: _Maker) -> None:
    """Two summands that are no convolutions."""
    layer = nn.Sequential(make.same(make.shape[0]), nn.ReLU())
    make.add(Sum(layer, nn.MaxPool2d(3, 1, 1) if make.pick(0, 1) else nn.Identity(), make.activation()))


def _doubled(make: _Maker) -> None:
    make.add(Function(lambda x: x + x))


def _read_twice(make: _Maker) -> None:
    make.add(Twice(make.same(make.width())))


def _joined(make: _Maker) -> None:
    make.add(Joined(nn.Identity(), nn.Sequential(make.same(make.width()), make.activation()), nn.MaxPool2d(3, 1, 1)))


BLOCKS: dict[str, Callable[[_Maker], None]] = {
    "adaptive pool": _adaptive_pool,
    "average pool": _average_pool,
    "clamp": _clamp,
    "conv": _conv,
    "depthwise": _depthwise,
    "doubled": _doubled,
    "grouped": _grouped,
    "identity shortcut": _identity_shortcut,
    "joined": _joined,
    "max pool": _max_pool,
    "norm": _norm,
    "option A": _option_a,
    "padding": _padding,
    "projection": _projection,
    "read twice": _read_twice,
    "stand-alone sum": _stand_alone_sum,
    "subsample": _subsample,
}


def _linear(make: _Maker) -> None:
    make.add(nn.Linear(make.shape[0], make.width()), make.activation())


def _linear_norm(make: _Maker) -> None:
    make.add(nn.Linear(make.shape[0], 5, bias=False), nn.BatchNorm1d(5), nn.ReLU())


def _flat_norm(make: _Maker) -> None:
    """A factor per feature that no layer takes in."""
    make.add(nn.ReLU(), nn.BatchNorm1d(make.shape[0]))


def _flat_shortcut(make: _Maker) -> None:
    make.add(Sum(nn.Linear(make.shape[0], make.shape[0]), nn.Identity(), make.activation()))


def _flat_joined(make: _Maker) -> None:
    make.add(Joined(nn.Linear(make.shape[0], 3), nn.Identity()))


FLAT_BLOCKS: dict[str, Callable[[_Maker], None]] = {
    "flat joined": _flat_joined,
    "flat norm": _flat_norm,
    "flat shortcut": _flat_shortcut,
    "linear": _linear,
    "linear norm": _linear_norm,
}


def _classifier(make: _Maker) -> None:
    make.add(nn.Linear(make.shape[0], make.pick(2, 5)))


def _clamped_classifier(make: _Maker) -> None:
    """Logits of 8 bits."""
    make.add(nn.Linear(make.shape[0], 4), nn.Hardtanh(-2, 2))


def _classifier_with_shortcut(make: _Maker) -> None:
    hidden = nn.Sequential(nn.Linear(make.shape[0], 5), nn.ReLU(), nn.Linear(5, 3))
    make.add(Sum(hidden, nn.Linear(make.shape[0], 3)))


FLAT_HEADS: dict[str, Callable[[_Maker], None]] = {
    "classifier": _classifier,
    "clamped classifier": _clamped_classifier,
    "classifier with shortcut": _classifier_with_shortcut,
}


def _global_average(make: _Maker) -> None:
    make.add(nn.Conv2d(make.shape[0], 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _mean(make: _Maker) -> None:
    make.add(Function(lambda x: x.mean((2, 3))), nn.Linear(make.shape[0], 3))


def _whole_conv(make: _Maker) -> None:
    rows, columns = make.shape[1:]
    make.add(nn.Conv2d(make.shape[0], 4, (rows, columns)), nn.Flatten())


def _conv_shortcut(make: _Maker) -> None:
    """Each place of the last sum is a logit."""
    make.add(Sum(nn.Conv2d(make.shape[0], 2, 3, padding=1), nn.Conv2d(make.shape[0], 2, 1)), nn.Flatten())


def _largest(make: _Maker) -> None:
    make.add(nn.Conv2d(make.shape[0], 3, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


IMAGE_HEADS: dict[str, Callable[[_Maker], None]] = {
    "conv with shortcut": _conv_shortcut,
    "global average": _global_average,
    "largest": _largest,
    "mean": _mean,
    "whole conv": _whole_conv,
}
