"""The file from which an interrupted training continues: weights, momentum, history, and what must not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ModelFileError, ParameterError, RunMismatch
from holdfast.models import tensorfile
from holdfast.models.state_dict import load_into
from holdfast.training.history import EpochRecord

__all__ = ["FORMAT", "VERSION", "read_history", "restore", "save"]

FORMAT = "holdfast-training-state"
VERSION = 1


def save(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.SGD,
    settings: Mapping[str, Any],
    history: Sequence[EpochRecord],
) -> None:
    """Write the state after an epoch, in one piece."""
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        momentum = optimiser.state[parameter].get("momentum_buffer") if parameter in optimiser.state else None
        if momentum is not None:
            tensors[f"momentum/{name}"] = momentum
    header = {"settings": dict(settings), "history": [record.to_json() for record in history]}
    tensorfile.write(path, FORMAT, VERSION, header, tensors)


def restore(
    path: Path, module: nn.Module, optimiser: torch.optim.SGD, settings: Mapping[str, Any]
) -> list[EpochRecord]:
    """Put weights and momentum back; return the epochs already done.

    Raises:
        ModelFileError: the file is damaged or of another network.
        RunMismatch: it belongs to a training with other settings; the first that differs is named.
    """
    header, tensors = tensorfile.read(path, FORMAT, VERSION)
    _same_settings(path, header.get("settings"), settings)
    history = _history(path, header.get("history"))
    load_into(module, _under(tensors, "model/"), path)
    momenta = _under(tensors, "momentum/")
    for name, parameter in module.named_parameters():
        momentum = momenta.get(name)
        if momentum is not None:
            if momentum.shape != parameter.shape or momentum.dtype != parameter.dtype:
                raise _damaged(path, f"the momentum of {name!r} is {momentum.dtype} {tuple(momentum.shape)}")
            optimiser.state[parameter]["momentum_buffer"] = momentum.to(parameter.device)
    return history


def read_history(path: Path) -> list[EpochRecord]:
    """The epochs that a state file holds.

    Raises:
        ModelFileError: the file is damaged.
    """
    return _history(path, tensorfile.read_header(path, FORMAT, VERSION).get("history"))


def _history(path: Path, value: Any) -> list[EpochRecord]:
    try:
        history = [EpochRecord.from_json(record) for record in value]
    except (ParameterError, TypeError) as error:
        raise _damaged(path, f"its history cannot be read ({error})") from None
    if [record.epoch for record in history] != list(range(1, len(history) + 1)):
        raise _damaged(path, "its history skips epochs")
    return history


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _same_settings(path: Path, theirs: Any, mine: Mapping[str, Any]) -> None:
    if not isinstance(theirs, dict):
        raise _damaged(path, "it has no settings")
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            raise RunMismatch(
                f"{path} belongs to a training with {key} = {theirs.get(key)!r}, not {mine.get(key)!r}; "
                "continue with the same settings, or delete the file to start again"
            )


def _damaged(path: Path, what: str) -> ModelFileError:
    return ModelFileError(f"{path} is damaged: {what}; delete it to start the training again")
