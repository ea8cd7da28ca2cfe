"""Where an operation stands in the user's network: its name, its line of code, and errors that say both."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch.fx import Node

from holdfast.errors import ConversionError

__all__ = ["is_user_code", "name_of", "operation_of", "refusal"]

_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')
_TORCH = str(Path(torch.__file__).parent)
_SHORT_NAMES = {"_native_batch_norm_legit_no_training": "batch_norm", "max_pool2d_with_indices": "max_pool2d"}


def operation_of(node: Node) -> str:
    """The name of what a node calls, without its overload.

    Example:
        >>> graph = torch.fx.Graph()
        >>> operation_of(graph.call_function(torch.ops.aten.add.Tensor, (graph.placeholder("x"), 1)))
        'add'
    """
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name).partition("::")[2]
    return getattr(node.target, "__name__", str(node.target))


def name_of(node: Node) -> str:
    """What a node is called: the path of its layer, and the operation unless the layer is one of ``torch.nn``."""
    path, kind = _module_of(node)
    operation = _SHORT_NAMES.get(operation_of(node), operation_of(node))
    if not path:
        return operation
    return path if kind.startswith("torch.nn.") else f"{path}.{operation}"


def refusal(node: Node, reason: str, advice: str) -> ConversionError:
    """The error that says where, what is wrong, and what to do.

    Args:
        node: the operation that cannot be converted.
        reason: what is wrong with it.
        advice: what the user can do.
    """
    path, kind = _module_of(node)
    places = [f"aten.{operation_of(node)}"]
    if path:
        places.append(f"{kind.rpartition('.')[2]} {path}")
    frame = _user_frame(str(node.meta.get("stack_trace", "")))
    if frame is not None:
        places.append(frame)
    return ConversionError(f"cannot convert {', '.join(places)}: {reason}; {advice}")


def is_user_code(file: str) -> bool:
    """Whether a source file is not one of PyTorch's own."""
    return not file.startswith((_TORCH, "<"))


def _module_of(node: Node) -> tuple[str, str]:
    """Path and class of the innermost module that runs a node."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return (str(stack[-1][0]), str(stack[-1][1])) if stack else ("", "")


def _user_frame(stack_trace: str) -> str | None:
    """The innermost line of code that is the user's, as ``file:line 'code'``."""
    frames = [frame for frame in _FRAME.finditer(stack_trace) if is_user_code(frame["file"])]
    return f"{frames[-1]['file']}:{frames[-1]['line']} {frames[-1]['code']!r}" if frames else None
