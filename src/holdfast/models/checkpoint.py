"""A network in one file: safetensors whose header rebuilds the module and tells how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ModelFileError, ParameterError
from holdfast.models import tensorfile
from holdfast.models.registry import build
from holdfast.models.spec import ModelSpec
from holdfast.models.state_dict import load_into, require_fit
from holdfast.models.user_module import build_user, is_user_name

__all__ = ["FORMAT", "VERSION", "load", "load_weights", "read_header", "save"]

FORMAT = "holdfast-checkpoint"
VERSION = 1


def save(path: Path, module: nn.Module, spec: ModelSpec, metadata: Mapping[str, Any]) -> None:
    """Write a checkpoint, in one piece.

    Args:
        path: where to.
        module: the network of ``spec``, trained.
        spec: the architecture and the preprocessing.
        metadata: JSON values about the training: data, data digest, recipe, sigma, seed, epochs, accuracy.
    """
    header = {"model": spec.to_json(), "metadata": dict(metadata)}
    tensorfile.write(path, FORMAT, VERSION, header, module.state_dict())


def read_header(path: Path) -> tuple[ModelSpec, dict[str, Any]]:
    """The spec and the metadata of a checkpoint, without its weights.

    Raises:
        ModelFileError: the file is missing, damaged, a pickle, newer than this holdfast, or no checkpoint.
    """
    return _spec_and_metadata(path, tensorfile.read_header(path, FORMAT, VERSION))


def load(path: Path, *, factory: str | None = None) -> tuple[nn.Module, ModelSpec, dict[str, Any]]:
    """Rebuild a network from a checkpoint, in evaluation mode, float32, on the CPU.

    Args:
        path: the checkpoint.
        factory: ``package.module:factory``, needed if the checkpoint is of a network of the user's own. A file never
            decides which code is imported: the caller says it, and it must be the one that the file names.

    Returns:
        module, spec, metadata.

    Raises:
        ModelFileError: as :func:`read_header`; or the file is of a network of the user's own and ``factory`` is not
            the one it names; or the tensors do not fit the architecture, and the first that does not is named.
        ParameterError: the factory cannot be imported or called.
    """
    header, tensors = tensorfile.read(path, FORMAT, VERSION)
    spec, metadata = _spec_and_metadata(path, header)
    module = _built(path, spec, tensors, factory)
    load_into(module, tensors, path)
    return module.eval(), spec, metadata


def load_weights(module: nn.Module, path: Path) -> None:
    """Start a network from the weights of a checkpoint, whatever that was trained on.

    Raises:
        ModelFileError: the file cannot be read or its tensors do not fit.
    """
    _, tensors = tensorfile.read(path, FORMAT, VERSION)
    load_into(module, tensors, path)


def _built(path: Path, spec: ModelSpec, tensors: Mapping[str, Tensor], factory: str | None) -> nn.Module:
    """The network of a checkpoint, untrained. Memory is only taken once its shapes are those of the file's tensors."""
    if is_user_name(spec.name):
        if factory != spec.name:
            given = "none was given" if factory is None else f"{factory} was given"
            raise ModelFileError(
                f"{path} is of a network made by {spec.name}, which is code of your own; {given}: "
                f"if you trust that code, give {spec.name} as the network and this file with --weights"
            )
        return build_user(spec.name)
    try:
        with torch.device("meta"):
            outline = build(spec, seed=0)
    except ParameterError as error:
        raise ModelFileError(f"{path} names a network that this holdfast cannot build: {error}") from None
    require_fit(outline, tensors, path)
    return build(spec, seed=0)


def _spec_and_metadata(path: Path, header: Mapping[str, Any]) -> tuple[ModelSpec, dict[str, Any]]:
    metadata = header.get("metadata")
    if not isinstance(metadata, dict):
        raise ModelFileError(f"the header of {path} has no metadata; get a fresh copy")
    try:
        return ModelSpec.from_json(header.get("model")), metadata
    except ParameterError as error:
        raise ModelFileError(f"the header of {path} does not describe a network: {error}; get a fresh copy") from None
