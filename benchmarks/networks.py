"""Networks that the benchmarks measure: for the engine with random 8-bit weights, for torch with random float ones.

The integer networks have the shapes that conversion gives, batch norms folded and residuals fused; their weights have a
standard deviation of 30 and their laws keep activations alive. Speed depends on neither.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.intnet import (
    AvgPool,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    MaxPool,
    Op,
    Pad,
    Requantise,
    Residual,
    Subsample,
    quantise_ratio,
)

__all__ = ["MobileNetV2", "cnn_small", "mlp", "mobilenetv2", "resnet", "resnet50"]

Shape = tuple[int, int, int]
_INVERTED = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2's stages: expansion, channels, blocks, stride of the first; for 32x32 two strides less than for 224x224."""


def mlp(shape: Shape, widths: tuple[int, ...], classes: int) -> IntegerNetwork:
    """Linear layers with ReLU."""
    net = _Builder(shape)
    x = net.flatten(0)
    for width in widths:
        x = net.linear(x, width)
    return net.end(x, classes)


def cnn_small(shape: Shape, widths: tuple[int, ...], classes: int) -> IntegerNetwork:
    """3x3 convolutions, all but the first with stride 2."""
    net, x = _Builder(shape), 0
    for position, width in enumerate(widths):
        x = net.conv(x, width, 3, 2 if position else 1)
    return net.end(net.pooled(x), classes)


def resnet(blocks: int, side: int = 32, width: int = 16, classes: int = 10) -> IntegerNetwork:
    """The CIFAR ResNet of 6 * blocks + 2 layers; shortcuts that change shape take every second pixel and add zeros."""
    net = _Builder((3, side, side))
    x, channels = net.conv(0, width, 3), width
    for stage in range(3):
        for block in range(blocks):
            outputs, stride = width << stage, 2 if stage and not block else 1
            y, shortcut = net.conv(x, outputs, 3, stride), x
            if stride == 2:
                half = (outputs - channels) // 2
                shortcut = net.add(Pad("pad", net.add(Subsample("subsample", x, (2, 2))), (half, 0, 0), (half, 0, 0)))
            x, channels = net.conv(y, outputs, 3, residual=shortcut), outputs
    return net.end(net.pooled(x), classes)


def resnet50(side: int = 224, classes: int = 1000) -> IntegerNetwork:
    """Bottlenecks, the stride in their 3x3 convolution, projections where the shape changes."""
    net = _Builder((3, side, side))
    x = net.add(MaxPool("pool", net.conv(0, 64, 7, 2), (3, 3), (2, 2), (1, 1, 1, 1)))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut = x if block else net.conv(x, 4 * width, 1, stride, relu=False)
            y = net.conv(net.conv(x, width, 1), width, 3, stride)
            x = net.conv(y, 4 * width, 1, residual=shortcut)
    return net.end(net.pooled(x), classes)


def mobilenetv2(side: int = 32, classes: int = 10) -> IntegerNetwork:
    """Inverted residuals: widen by 1x1, 3x3 channel by channel, narrow by 1x1 without ReLU."""
    net = _Builder((3, side, side))
    x = net.conv(0, 32, 3)
    for expansion, outputs, blocks, stride in _INVERTED:
        for block in range(blocks):
            channels, step = net.channels(x), stride if block == 0 else 1
            y = net.conv(x, expansion * channels, 1) if expansion > 1 else x
            y = net.conv(y, expansion * channels, 3, step, groups=expansion * channels)
            same = step == 1 and channels == outputs
            x = net.conv(y, outputs, 1, relu=False, residual=x if same else None)
    return net.end(net.pooled(net.conv(x, 1280, 1)), classes)


class MobileNetV2(nn.Module):
    """The same network for torch."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem, blocks, channels = _normed(3, 32, 3), [], 32
        for expansion, outputs, repeats, stride in _INVERTED:
            for block in range(repeats):
                blocks.append(_Inverted(channels, outputs, expansion, stride if block == 0 else 1))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(_normed(channels, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, classes) logits."""
        logits: Tensor = self.fc(self.head(self.blocks(self.stem(x))))
        return logits


class _Inverted(nn.Module):
    def __init__(self, channels: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * channels
        widen = [_normed(channels, wide, 1)] if expansion > 1 else []
        narrow = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.layers = nn.Sequential(*widen, _normed(wide, wide, 3, stride, groups=wide), narrow)
        self.same = stride == 1 and channels == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.same else y


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class _Builder:
    """Operations so far, and the shapes of their values."""

    def __init__(self, shape: Shape) -> None:
        self._random = np.random.default_rng(0)
        self._operations: list[Op] = [
            Input("input", shape, np.full(shape[0], 118, np.int32), _law(0.5, shape[0], -127))
        ]
        self._shapes: list[Shape] = [shape]

    def add(self, op: Op) -> int:
        """Append an operation whose shape the methods below do not know; returns its position."""
        before = self._shapes[op.source]  # type: ignore[union-attr]
        if isinstance(op, Pad):
            shape = (before[0] + op.before[0] + op.after[0], before[1], before[2])
        else:  # a subsampling or pooling of stride 2
            shape = (before[0], (before[1] + 1) // 2, (before[2] + 1) // 2)
        return self._append(op, shape)

    def channels(self, position: int) -> int:
        return self._shapes[position][0]

    def conv(
        self,
        source: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
        residual: int | None = None,
    ) -> int:
        inputs, height, width = self._shapes[source]
        weight, bias, spread = self._weights((outputs, inputs // groups, kernel, kernel))
        added = None if residual is None else Residual(residual, np.full(outputs, int(spread), np.int32))
        law = _law(1 / spread, outputs, 0 if relu else -127)
        name = f"{kernel}x{kernel} {inputs}->{outputs}" + (f" /{stride}" if stride > 1 else "") + " dw" * (groups > 1)
        op = Conv(name, source, weight, bias, law, (stride,) * 2, (kernel // 2,) * 4, (1, 1), groups, added)
        return self._append(op, (outputs, (height - 1) // stride + 1, (width - 1) // stride + 1))

    def linear(self, source: int, outputs: int) -> int:
        inputs = self.channels(source)
        weight, bias, spread = self._weights((outputs, inputs))
        op = Linear(f"linear {inputs}->{outputs}", source, weight, bias, _law(1 / spread, outputs, 0))
        return self._append(op, (outputs, 1, 1))

    def pooled(self, source: int) -> int:
        """The mean over all pixels, flat."""
        channels, height, width = self._shapes[source]
        law = _law(1 / (height * width), channels, -127)
        pool = AvgPool("mean", source, (height, width), (height, width), law)
        return self.flatten(self._append(pool, (channels, 1, 1)))

    def flatten(self, source: int) -> int:
        return self._append(Flatten("flatten", source), (prod(self._shapes[source]), 1, 1))

    def end(self, source: int, classes: int) -> IntegerNetwork:
        """The network, with a last layer of raw logits."""
        inputs = self.channels(source)
        weight = self._random.integers(-127, 128, (classes, inputs)).astype(np.int8)
        logits = Linear(f"linear {inputs}->{classes}", source, weight, np.zeros(classes, np.int32), None)
        return IntegerNetwork([*self._operations, logits], {"sigma": "0.25"})

    def _append(self, op: Op, shape: Shape) -> int:
        self._operations.append(op)
        self._shapes.append(shape)
        return len(self._operations) - 1

    def _weights(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int8], NDArray[np.int32], float]:
        """Weights, biases, and how far sums of these weights spread."""
        weight = self._random.normal(0, 30, shape).round().clip(-127, 127).astype(np.int8)
        return weight, self._random.integers(-2000, 2000, shape[0]).astype(np.int32), 30 * prod(shape[1:]) ** 0.5


def _law(ratio: float, channels: int, low: int) -> Requantise:
    """One factor for all channels."""
    multiplier, shift = quantise_ratio(ratio)
    return Requantise(np.full(channels, multiplier, np.int32), np.full(channels, shift, np.uint8), low, 127)
