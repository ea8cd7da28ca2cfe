"""The walk over an exported program: constants are computed, everything that depends on the image is translated."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node
from torch.fx.node import map_arg

from holdfast.compression.aten.advice import advice_on, is_random
from holdfast.compression.aten.elementwise import ELEMENTWISE
from holdfast.compression.aten.layers import LAYERS
from holdfast.compression.aten.layout import LAYOUT
from holdfast.compression.aten.place import operation_of, refusal
from holdfast.compression.aten.pooling import POOLING
from holdfast.compression.aten.step import BATCH, Builder, Step, Value
from holdfast.compression.graph import FloatGraph
from holdfast.errors import ConversionError

__all__ = ["translate"]

_OPERATIONS = {**ELEMENTWISE, **LAYERS, **LAYOUT, **POOLING}
_OF_SHAPE = ("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
"""Operations that read an argument's shape but not its elements."""
_FLOATS = (torch.float32, torch.float64)


def translate(program: ExportedProgram, shape: tuple[int, int, int]) -> FloatGraph:
    """The float graph of a program without in-place operations.

    Constants are computed in float64. What the logits do not depend on is left out before it is looked at.

    Args:
        program: exported with :data:`~holdfast.compression.aten.step.BATCH` images, one tensor in and one out.
        shape: (C, H, W) of an image.

    Raises:
        ConversionError: an operation has no counterpart; names the layer, the line of code, and what to do.
    """
    logits = _logits(program)
    environment: dict[Node, Any] = {}
    builder = Builder(shape)
    inputs = {spec.arg.name: spec for spec in program.graph_signature.input_specs if hasattr(spec.arg, "name")}
    live = _live(program, logits)
    _require_one_path(live)
    for node in live:
        if node.op == "placeholder" and inputs[node.name].kind is InputKind.USER_INPUT:
            environment[node] = Value(0, shape)
        elif node.op == "placeholder":
            environment[node] = _stored(program, str(inputs[node.name].target))
        elif node.op == "call_function":
            environment[node] = _result(builder, node, environment)
    if not isinstance(environment[logits], Value):
        raise ConversionError("the network's logits do not depend on the image; check its forward method")
    return builder.graph(environment[logits])


def _logits(program: ExportedProgram) -> Node:
    """The node that the user's forward returns."""
    outputs = program.graph_signature.output_specs
    for spec in outputs:
        if spec.kind is OutputKind.BUFFER_MUTATION:
            raise ConversionError(
                f"the network changes its buffer {spec.target!r} while it runs, so its labels depend on what it saw "
                "before; make forward leave all buffers as they are in evaluation mode"
            )
    position = next(i for i, spec in enumerate(outputs) if spec.kind is OutputKind.USER_OUTPUT)
    node = program.graph.output_node().args[0][position]
    assert isinstance(node, Node)
    return node


def _live(program: ExportedProgram, logits: Node) -> list[Node]:
    """The nodes that the logits depend on, in order."""
    wanted, waiting = {logits}, [logits]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source not in wanted:
                wanted.add(source)
                waiting.append(source)
    return [node for node in program.graph.nodes if node in wanted]


def _require_one_path(nodes: list[Node]) -> None:
    for node in nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.HigherOrderOperator):
            raise refusal(
                node, "it chooses what to run by the values it computes", "a graph has one path for all images"
            )


def _stored(program: ExportedProgram, name: str) -> Any:
    """A parameter, buffer or constant, floats as float64."""
    tensor = program.state_dict.get(name, program.constants.get(name))
    assert isinstance(tensor, Tensor)
    if not bool(torch.isfinite(tensor).all()):
        raise ConversionError(f"tensor {name!r} has NaN or infinite elements; train again, or load other weights")
    return _float64(tensor.detach())


def _float64(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _result(builder: Builder, node: Node, environment: Mapping[Node, Any]) -> Any:
    """What a node gives: a value, a constant, or several of them."""
    sources = [environment.get(source) for source in node.all_input_nodes]
    depends = any(isinstance(value, Value) for source in sources for value in _each(source))
    if node.target is operator.getitem:
        return _item(node, sources[0])
    if is_random(node):
        raise refusal(node, *advice_on(node))
    if not depends or operation_of(node) in _OF_SHAPE:
        return _constant(node, environment)
    if operation_of(node) not in _OPERATIONS:
        raise refusal(node, *advice_on(node))
    several = isinstance(node.meta["val"], list | tuple)
    step = Step(builder, node, _arguments(node, environment), _shape(node))
    value = _OPERATIONS[operation_of(node)](step)
    return (value,) if several else value


def _each(source: Any) -> tuple[Any, ...]:
    return tuple(source) if isinstance(source, list | tuple) else (source,)


def _item(node: Node, container: Any) -> Any:
    """One of several results; of a pool with indices, say, only the values are known."""
    position = node.args[1]
    assert isinstance(position, int)
    if position >= len(container):
        raise refusal(node, "it reads a second result, such as the indices of a pool", "use the first result only")
    return container[position]


def _constant(node: Node, environment: Mapping[Node, Any]) -> Any:
    """Compute an operation whose result does not depend on the image."""

    def known(source: Node) -> Any:
        constant = environment[source]
        return torch.empty((BATCH, *constant.shape), dtype=torch.float64) if isinstance(constant, Value) else constant

    assert callable(node.target)
    try:
        result = node.target(*map_arg(node.args, known), **map_arg(node.kwargs, known))
    except (RuntimeError, TypeError, ValueError) as error:
        reason = f"computing this constant in float64 failed ({str(error).splitlines()[0]})"
        raise refusal(node, reason, "compute it outside forward and store it as a buffer") from error
    if operation_of(node) in ("empty", "empty_like", "new_empty"):
        result = torch.full_like(result, torch.nan)
    return [_float64(part) for part in result] if isinstance(result, list | tuple) else _float64(result)


def _arguments(node: Node, environment: Mapping[Node, Any]) -> dict[str, Any]:
    """Arguments by the names of the operation's schema, defaults included."""
    assert isinstance(node.target, torch._ops.OpOverload)
    schema = node.target._schema.arguments
    given = dict(zip((argument.name for argument in schema), node.args, strict=False)) | dict(node.kwargs)
    defaults = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return defaults | {name: map_arg(value, environment.__getitem__) for name, value in given.items()}


def _shape(node: Node) -> tuple[int, ...]:
    """The shape of a node's first result, without the batch."""
    result = _each(node.meta["val"])[0]
    if result.dtype not in _FLOATS:
        kind = str(result.dtype).removeprefix("torch.")
        raise refusal(node, f"it gives {kind} numbers", "compute in float32 or float64 throughout")
    if result.ndim < 2 or result.shape[0] != BATCH:
        raise refusal(
            node,
            f"it turns {BATCH} images into a value of shape {list(result.shape)}, so images of a batch are mixed",
            "keep the batch as the first dimension",
        )
    return tuple(int(size) for size in result.shape[1:])
