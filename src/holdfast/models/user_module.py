"""A network of the user's own: imported from their code, weights read as tensors only, preprocessing stated by them."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from holdfast.errors import ModelFileError, ParameterError
from holdfast.models.spec import ModelSpec
from holdfast.models.state_dict import load_into
from holdfast.records import Preprocessing

__all__ = ["WRAPPERS", "build_user", "check_logits", "is_user_name", "load_user", "read_weights"]

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Entries of a training framework's file under which the weights are looked for."""

_PREFIXES = ("module.", "_orig_mod.")


def is_user_name(name: str) -> bool:
    """Whether a model's name means the user's code.

    Example:
        >>> is_user_name("mynets.vision:build"), is_user_name("resnet20")
        (True, False)
    """
    return ":" in name


def load_user(
    factory: str, weights: Path | None, *, preprocessing: Preprocessing, shape: tuple[int, int, int]
) -> tuple[nn.Module, ModelSpec]:
    """Build the user's network and load its weights.

    Args:
        factory: ``package.module:factory``, something to call without arguments that returns a module. The module is
            imported with the working directory on the path: this runs the user's code.
        weights: a ``.safetensors`` file, or a ``.pt`` or ``.pth`` file, of which only tensors are read; None keeps
            the factory's weights.
        preprocessing: what the network was trained with, stated by the user. It is never guessed: a wrong one gives
            a network that works badly, not an error.
        shape: (C, H, W) of the images it will be given.

    Returns:
        The module in evaluation mode, and a spec whose name is ``factory`` and whose number of classes is the length
        of the logits.

    Raises:
        ParameterError: the factory cannot be imported or called, or does not return a network for such images.
        ModelFileError: the weights cannot be read, or do not fit; the first tensor that does not is named.
    """
    module = build_user(factory)
    if weights is not None:
        load_into(module, read_weights(weights, module.state_dict()), weights)
    return module.eval(), ModelSpec(factory, check_logits(module, shape), shape, preprocessing)


def build_user(factory: str, *, seed: int | None = None) -> nn.Module:
    """Import ``package.module:factory`` and call it.

    Args:
        factory: as for :func:`load_user`.
        seed: of the weights that the factory draws from torch's global generator, which is then put back as it was,
            so that a training of this network can be repeated and resumed. None lets it draw as it comes.

    Raises:
        ParameterError: it cannot be imported or called, or does not return a ``torch.nn.Module``.
    """
    make = _imported(factory)
    try:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            module = make()
    except Exception as error:
        raise ParameterError(f"calling {factory} failed with {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise ParameterError(f"{factory} returned a {type(module).__name__}, not a torch.nn.Module")
    return module


def _imported(factory: str) -> Any:
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute.isidentifier():
        raise ParameterError(f"a network of your own is given as package.module:factory, not {factory!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ParameterError(
            f"cannot import {module_name!r}: no module {error.name!r} in {here} or among the installed packages"
        ) from error
    except Exception as error:
        raise ParameterError(f"importing {module_name!r} failed with {type(error).__name__}: {error}") from error
    make = getattr(module, attribute, None)
    if not callable(make):
        raise ParameterError(f"module {module_name!r} has no function or class {attribute!r}")
    return make


def check_logits(module: nn.Module, shape: tuple[int, int, int]) -> int:
    """The number of logits a network gives for images of a shape. Its weights and mode stay as they are.

    Raises:
        ParameterError: it cannot take such images, or does not return (N, classes) logits with two classes or more.
    """
    place = next(module.parameters(), torch.empty(0)).device
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            logits = module(torch.zeros((2, *shape), device=place))
    except Exception as error:
        raise ParameterError(f"the network cannot take images of shape {shape}: {error}") from error
    finally:
        module.train(was_training)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != 2 or logits.shape[1] < 2:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ParameterError(f"the network must return (N, classes) logits; for N = 2 images it returned {found}")
    return int(logits.shape[1])


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name from a weights file, out of the usual wrappers and without the usual prefixes.

    Understood: the entries of :data:`WRAPPERS`, and ``module.`` (data parallel) and ``_orig_mod.`` (compiled) before
    every name. Counters of batches that old files lack are taken from ``wanted``, which no label depends on.

    Args:
        path: ``.safetensors``, ``.pt`` or ``.pth``.
        wanted: the state of the network that the weights are for.

    Raises:
        ModelFileError: the file cannot be read, or has no tensors by name.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path)
    tensors = _named_tensors(path, content)
    for prefix in _PREFIXES * 2:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    counters = {name: value for name, value in wanted.items() if name.endswith("num_batches_tracked")}
    return counters | tensors


def _named_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The mapping from names to tensors inside a file's content."""
    for _ in range(3):
        inner = [key for key in WRAPPERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = content[inner[0]]
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(
            f"{path} holds a {type(content).__name__} without tensors by name; "
            "save it with torch.save(network.state_dict(), ...)"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelFileError(
                f"{path}: entry {name!r} is a {type(value).__name__}, not a tensor; "
                f"save network.state_dict(), alone or under one of {', '.join(WRAPPERS)}"
            )
    return dict(content)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"cannot read {path} as safetensors: {error}") from None
    return tensors


def _torch_file(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFileError(
            f"{path} holds more than tensors and is not opened: unpickling it would run code; "
            "where it was made, save torch.save(network.state_dict(), ...) or a .safetensors file instead"
        ) from None
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, AttributeError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"cannot read {path} as a torch file: {reason}") from None
