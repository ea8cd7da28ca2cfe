"""Names of networks, and what each is built from."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import nn

from holdfast.errors import ParameterError
from holdfast.models.cifar_resnet import BLOCKS_PER_STAGE, CifarResNet
from holdfast.models.cnn_small import SmallCnn
from holdfast.models.mlp import Mlp
from holdfast.models.resnet50 import ResNet50
from holdfast.models.spec import ModelSpec

__all__ = ["build", "model_names"]


def model_names() -> tuple[str, ...]:
    """Names that :func:`build` knows.

    Example:
        >>> model_names()
        ('mlp', 'cnn-small', 'resnet20', 'resnet32', 'resnet34', 'resnet44', 'resnet56', 'resnet110', 'resnet50')
    """
    return tuple(_BUILDERS)


def build(spec: ModelSpec, *, seed: int | None = None) -> nn.Module:
    """A network with fresh random weights, in training mode, float32, on the CPU.

    Args:
        spec: which network.
        seed: of the weights; the global generator is then neither read nor moved. None draws from the global one.

    Returns:
        A module from (N, C, H, W) preprocessed images to (N, num_classes) logits.

    Raises:
        ParameterError: no such network, or an option it does not take.

    Example:
        >>> from holdfast.records import Preprocessing
        >>> net = build(ModelSpec("resnet20", 10, (3, 32, 32), Preprocessing((0.5,) * 3, (0.25,) * 3)), seed=0)
        >>> sum(p.numel() for p in net.parameters())
        269722
    """
    if spec.name not in _BUILDERS:
        raise ParameterError(f"no network is called {spec.name!r}; there are {', '.join(_BUILDERS)}")
    if seed is None:
        return _BUILDERS[spec.name](spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _BUILDERS[spec.name](spec)


def _options(spec: ModelSpec, **defaults: Any) -> dict[str, Any]:
    """The options of ``spec`` over their defaults; unknown names and other types than the default's are refused."""
    for name, value in spec.options.items():
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise ParameterError(f"{spec.name} has no option {name!r}; it has: {known}")
        if not _same_kind(value, defaults[name]):
            raise ParameterError(f"{spec.name}: option {name!r} cannot be {value!r}; its default is {defaults[name]!r}")
    return defaults | spec.options


def _same_kind(value: Any, default: Any) -> bool:
    """Whether an option is a boolean, a positive integer or a list of those, as the default is."""
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and 0 < value <= 65536
    return isinstance(value, list | tuple) and len(value) <= 64 and all(_same_kind(v, 1) for v in value)


def _mlp(spec: ModelSpec) -> nn.Module:
    options = _options(spec, widths=[256, 256], batch_norm=False)
    return Mlp(prod(spec.shape), options["widths"], spec.num_classes, options["batch_norm"])


def _cnn_small(spec: ModelSpec) -> nn.Module:
    widths = _options(spec, widths=[32, 64, 64])["widths"]
    if not widths:
        raise ParameterError("option 'widths' of cnn-small needs at least one convolution")
    return SmallCnn(widths, spec.num_classes, spec.shape[0])


def _cifar_resnet(spec: ModelSpec) -> nn.Module:
    width = _options(spec, width=16)["width"]
    return CifarResNet(BLOCKS_PER_STAGE[spec.name], spec.num_classes, spec.shape[0], width)


def _resnet50(spec: ModelSpec) -> nn.Module:
    _options(spec)
    return ResNet50(spec.num_classes, spec.shape[0])


_BUILDERS: dict[str, Callable[[ModelSpec], nn.Module]] = {
    "mlp": _mlp,
    "cnn-small": _cnn_small,
    **dict.fromkeys(BLOCKS_PER_STAGE, _cifar_resnet),
    "resnet50": _resnet50,
}
