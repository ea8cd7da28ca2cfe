"""How a network is run while it is trained: number format, memory layout, compilation."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import ParameterError
from holdfast.models import to_input
from holdfast.records import Preprocessing

__all__ = ["Execution", "Precision", "choose", "compiling_pays"]

Precision = Literal["auto", "float32", "bfloat16"]

_WORTH_COMPILING = 20_000_000
"""Images times convolutions: ResNet-20 on CIFAR-10 for 22 epochs, which take longer than 15 minutes on two cores.
Compiling takes up to a minute and saves a tenth."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A way to run a network. Images are in channels_last order, which was measured faster everywhere.

    Attributes:
        device: where.
        precision: ``float32``, or ``bfloat16`` for convolutions and products of matrices in bfloat16 with float32
            weights kept beside them (autocast).
        compiled: whether training steps run through ``torch.compile``.
    """

    device: torch.device
    precision: Literal["float32", "bfloat16"]
    compiled: bool = False

    def to_json(self) -> dict[str, Any]:
        """What must agree for a resumed training to give the same weights."""
        return {"device": self.device.type, "precision": self.precision, "compiled": self.compiled}

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which the network runs."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def classifier(self, module: nn.Module, preprocessing: Preprocessing | None) -> Callable[[Tensor], Tensor]:
        """The network as a function from pixels (N, C, H, W) to float32 logits, for training steps."""
        run = torch.compile(module, dynamic=False) if self.compiled else module

        def classify(pixels: Tensor) -> Tensor:
            inputs = to_input(pixels, preprocessing, memory_format=torch.channels_last)
            with self.autocast():
                logits: Tensor = run(inputs)
            return logits.float()

        return classify


def choose(device: str | torch.device = "cpu", precision: Precision = "auto", compiled: bool = False) -> Execution:
    """A way to run; ``auto`` is bfloat16 where the processor multiplies it in hardware, else float32.

    Raises:
        ParameterError: the device is unknown or absent, or the precision is unknown.

    Example:
        >>> choose("cpu", "float32").to_json()
        {'device': 'cpu', 'precision': 'float32', 'compiled': False}
    """
    try:
        where = torch.device(device)
        torch.empty(1, device=where)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(f"device {str(device)!r} cannot be used here: {str(error).splitlines()[0]}") from None
    if precision not in ("auto", "float32", "bfloat16"):
        raise ParameterError(f"precision must be auto, float32 or bfloat16, not {precision!r}")
    if precision == "auto":
        precision = "bfloat16" if _fast_bfloat16(where) else "float32"
    return Execution(where, precision, compiled)


def compiling_pays(module: nn.Module, images: int, device: torch.device) -> bool:
    """Whether ``torch.compile`` can work here and saves more than it costs, for a number of images in all epochs.

    A function of the network, the number of images and what is installed, never of a measurement, so that a resumed
    training decides alike.
    """
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    if device.type != "cpu" or images * convolutions < _WORTH_COMPILING:
        return False
    has_compiler = shutil.which(os.environ.get("CXX", "g++")) is not None
    return has_compiler and (Path(sysconfig.get_path("include")) / "Python.h").exists()


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
