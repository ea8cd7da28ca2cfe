"""One operation being translated: its arguments as values of the growing graph or as constants, and what it may emit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor
from torch.fx import Node

from holdfast.compression.aten.place import name_of, refusal
from holdfast.compression.graph import FloatFlatten, FloatGraph, FloatInput, FloatNode
from holdfast.errors import ConversionError

__all__ = ["BATCH", "Builder", "Step", "Value"]

BATCH = 2
"""Images in the example batch with which a network is exported."""


@final
@dataclass(frozen=True, slots=True)
class Value:
    """A value of the program: which node of the graph gives it, and the shape the program sees, without the batch.

    Reshaping changes the shape only; the elements stay in C, H, W order.
    """

    position: int
    shape: tuple[int, ...]


@final
class Builder:
    """The nodes so far.

    Args:
        shape: (C, H, W) of the input, which becomes node 0.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.nodes: list[FloatNode] = [FloatInput("input", shape)]
        self.shapes: list[tuple[int, ...]] = [shape]
        self._flat: dict[int, int] = {}

    def append(self, node: FloatNode, shape: tuple[int, ...]) -> int:
        """Add a node and give its position."""
        self.nodes.append(node)
        self.shapes.append(shape)
        return len(self.nodes) - 1

    def flat(self, position: int) -> int:
        """The position of a value as (F,); it is flattened once, however many read it so."""
        if len(self.shapes[position]) == 1:
            return position
        if position not in self._flat:
            size = torch.Size(self.shapes[position]).numel()
            flatten = FloatFlatten(f"{self.nodes[position].name}.flatten", position)
            self._flat[position] = self.append(flatten, (size,))
        return self._flat[position]

    def graph(self, logits: Value) -> FloatGraph:
        """The graph up to the logits, flat."""
        last = self.flat(logits.position)
        return FloatGraph(tuple(self.nodes[: last + 1]), tuple(self.shapes[: last + 1]))


@final
@dataclass(frozen=True, slots=True)
class Step:
    """An operation with its arguments by name.

    Attributes:
        builder: the graph so far.
        node: the operation in the program.
        arguments: by the names of the operation's schema, defaults included: a :class:`Value`, a constant tensor, or
            whatever else the program gives.
        shape: of the result, without the batch.
    """

    builder: Builder
    node: Node
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", name_of(self.node))

    def refuse(self, reason: str, advice: str) -> ConversionError:
        """The error that names this operation."""
        return refusal(self.node, reason, advice)

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def value(self, key: str) -> Value:
        """An argument that depends on the image."""
        argument = self.arguments[key]
        if not isinstance(argument, Value):
            raise self.refuse(f"its argument {key!r} does not depend on the image", "compute it once, outside forward")
        return argument

    def constant(self, key: str) -> Tensor | None:
        """An argument that is a float64 tensor or None, and does not depend on the image."""
        argument = self.arguments[key]
        if isinstance(argument, Value):
            raise self.refuse(
                f"its argument {key!r} depends on the image, so it multiplies values with values",
                "only products with weights have an integer form; replace attention, gates and the like",
            )
        return None if argument is None else argument.double()

    def weight(self, key: str) -> Tensor:
        """A constant that cannot be None."""
        weight = self.constant(key)
        assert weight is not None
        return weight

    def image(self, key: str) -> tuple[int, tuple[int, int, int]]:
        """Position and shape of an argument that is an image (C, H, W) in the graph and in the program."""
        value = self.value(key)
        shape = self.builder.shapes[value.position]
        if len(shape) != 3 or value.shape != shape:
            raise self.refuse(
                f"it reads {list(value.shape)} per image, which is not an image of the graph ({list(shape)})",
                "keep (N, C, H, W) up to the last pool and flatten once, after it",
            )
        return value.position, (shape[0], shape[1], shape[2])

    def whole(self, value: Value) -> int:
        """Position of a value whose shape in the graph is that of the program: (C, H, W), or flat."""
        if len(value.shape) == 1:
            return self.builder.flat(value.position)
        if value.shape != self.builder.shapes[value.position]:
            raise self.refuse(
                f"it works on {list(value.shape)} per image, which is neither (C, H, W) as computed nor flat",
                "keep (N, C, H, W) up to the last pool and flatten once, after it",
            )
        return value.position

    def emit(self, node: FloatNode, shape: tuple[int, ...] | None = None) -> Value:
        """Add a node that gives this operation's result, or a value of another shape on the way to it."""
        return Value(self.builder.append(node, shape or self.shape), shape or self.shape)
