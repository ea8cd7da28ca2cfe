"""Putting tensors into a network, strictly, with a message that names the first one that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from holdfast.errors import ModelFileError

__all__ = ["load_into", "require_fit"]


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a module whose state has exactly those names, shapes and kinds of number.

    Args:
        module: the network.
        tensors: by name; floats of another width are cast.
        path: the file they come from, for the message.

    Raises:
        ModelFileError: they do not fit; the first missing, unexpected or differing tensor is named.
    """
    require_fit(module, tensors, path)
    module.load_state_dict(dict(tensors))


def require_fit(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """The check of :func:`load_into` alone; the module may be on the ``meta`` device.

    Raises:
        ModelFileError: as :func:`load_into`.
    """
    wanted = module.state_dict()
    problem = next((p for name, mine in wanted.items() if (p := _problem(name, mine, tensors.get(name)))), None)
    if problem is None:
        problem = next((f"tensor {name!r} is unexpected" for name in tensors if name not in wanted), None)
    if problem is not None:
        raise ModelFileError(f"{path} does not fit the network: {problem}; use the network it was written from")


def _problem(name: str, mine: Tensor, theirs: Tensor | None) -> str | None:
    if theirs is None:
        return f"tensor {name!r} is missing"
    if theirs.shape != mine.shape:
        return f"tensor {name!r} has shape {tuple(theirs.shape)}, the network needs {tuple(mine.shape)}"
    if theirs.is_floating_point() != mine.is_floating_point() or theirs.is_complex():
        return f"tensor {name!r} has type {theirs.dtype}, the network needs {mine.dtype}"
    return None
