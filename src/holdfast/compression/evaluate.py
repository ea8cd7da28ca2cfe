"""What a float graph computes, in float64: the meaning of every node, and the source of calibration's values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

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
    FloatNode,
    FloatPad,
    FloatSubsample,
    Padding,
    sources_of,
)
from holdfast.errors import ParameterError

__all__ = ["each_value", "evaluate"]


def evaluate(graph: FloatGraph, batch: Tensor) -> Tensor:
    """The logits of a float graph.

    Args:
        graph: the network.
        batch: preprocessed images, float, (N, C, H, W).

    Returns:
        float64 (N, num_classes).

    Raises:
        ParameterError: the images do not have the graph's shape.

    Example:
        >>> from torch import nn
        >>> from holdfast.compression.export import to_graph
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, dtype=torch.float64))
        >>> images = torch.rand(3, 1, 2, 2, dtype=torch.float64)
        >>> bool((evaluate(to_graph(network, (1, 2, 2)), images) - network(images)).abs().max() < 1e-12)
        True
    """
    ((_, logits),) = deque(each_value(graph, batch), maxlen=1)
    return logits


def each_value(graph: FloatGraph, batch: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The position of each node and the value it gives, in order; a value is let go once its last reader has read it.

    Args:
        graph: the network.
        batch: preprocessed images, float, (N, C, H, W).

    Yields:
        position, float64 value (N, C, H, W) or (N, F).

    Raises:
        ParameterError: the images do not have the graph's shape.
    """
    if batch.ndim != 4 or tuple(batch.shape[1:]) != graph.shapes[0]:
        raise ParameterError(f"the network takes (N, {str(graph.shapes[0])[1:]} images, not {tuple(batch.shape)}")
    last_reader = {source: position for position, node in enumerate(graph.nodes) for source in sources_of(node)}
    values: dict[int, Tensor] = {}
    for position, node in enumerate(graph.nodes):
        sources = [values[source] for source in sources_of(node)]
        values[position] = batch.double() if isinstance(node, FloatInput) else _value(node, sources)
        for source in set(sources_of(node)):
            if last_reader[source] == position:
                del values[source]
        yield position, values[position]


def _value(node: FloatNode, sources: list[Tensor]) -> Tensor:
    x = sources[0]
    if isinstance(node, FloatConv):
        y = F.conv2d(_padded(x, node.padding), node.weight, node.bias, node.stride, 0, node.dilation, node.groups)
    elif isinstance(node, FloatLinear):
        y = F.linear(x, node.weight, node.bias)
    elif isinstance(node, FloatAffine):
        y = x * _per_channel(node.scale, x) + _per_channel(node.shift, x)
    elif isinstance(node, FloatClamp):
        y = x.clamp(node.low, node.high)
    elif isinstance(node, FloatAdd):
        y = x + sources[1]
    elif isinstance(node, FloatConcat):
        y = torch.cat(sources, dim=1)
    else:
        y = _moved(node, x)
    return y


def _moved(node: FloatNode, x: Tensor) -> Tensor:
    """Pools and what only rearranges."""
    if isinstance(node, FloatMaxPool):
        padded = _padded(x, node.padding, -torch.inf)
        return F.max_pool2d(padded, node.kernel, node.stride, 0, node.dilation)
    if isinstance(node, FloatAvgPool):
        return F.avg_pool2d(_padded(x, node.padding), node.kernel, node.stride)
    if isinstance(node, FloatFlatten):
        return x.flatten(1)
    if isinstance(node, FloatPad):
        (c0, y0, x0), (c1, y1, x1) = node.before, node.after
        return F.pad(x, (x0, x1, y0, y1, c0, c1))
    assert isinstance(node, FloatSubsample)
    return x[:, :, :: node.stride[0], :: node.stride[1]]


def _padded(x: Tensor, padding: Padding, fill: float = 0.0) -> Tensor:
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=fill) if any(padding) else x


def _per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    return parameter.view(1, -1, *[1] * (x.ndim - 2))
