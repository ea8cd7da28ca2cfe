"""From what the user names to the classifier that is certified. Torch is loaded for float networks only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import intnet
from holdfast.engine.integer import IntegerClassifier
from holdfast.engine.native import NativeClassifier, available, usable_cores
from holdfast.errors import ModelFileError, ParameterError
from holdfast.intnet import IntegerNetwork
from holdfast.noise import noise_law
from holdfast.protocols import Noise
from holdfast.records import Preprocessing
from holdfast.rounding import exact_decimal

if TYPE_CHECKING:
    from torch import nn

    from holdfast.engine.torch import TorchClassifier
    from holdfast.models import ModelSpec

__all__ = ["ENGINES", "INTEGER_SUFFIX", "Network", "as_classifier", "load_network", "parse_preprocessing", "sigma_of"]

INTEGER_SUFFIX = ".hfi"
"""How the name of an integer network's file ends."""
ENGINES = ("native", "reference")
"""Executors of integer networks."""


@dataclass(frozen=True, slots=True)
class Network:
    """A float network with what is known about it."""

    module: nn.Module
    spec: ModelSpec
    metadata: dict[str, Any]


def load_network(
    model: str,
    *,
    weights: Path | None = None,
    preprocessing: Preprocessing | None = None,
    shape: tuple[int, int, int] | None = None,
) -> Network | IntegerNetwork:
    """Load a holdfast checkpoint, an integer network, or a network of the user's own.

    Args:
        model: the path of a checkpoint or of an ``.hfi`` file, or ``package.module:factory``.
        weights: for a factory: a holdfast checkpoint of it, or any ``.safetensors`` or ``.pt`` file with its weights.
        preprocessing: for a factory whose weights are no holdfast checkpoint; never guessed.
        shape: (C, H, W) of the images such a network will be given.

    Raises:
        ModelFileError: a file cannot be used or does not fit.
        ParameterError: options that do not go together, or code that cannot be imported.
    """
    integer = Path(model).suffix == INTEGER_SUFFIX
    if integer and weights is None and preprocessing is None:
        return intnet.load(Path(model))
    from holdfast.models import checkpoint, load_user
    from holdfast.models.user_module import is_user_name

    if integer or not is_user_name(model):
        if weights is not None or preprocessing is not None:
            raise ParameterError("--weights, --mean and --std go with a network of your own, package.module:factory")
        return Network(*checkpoint.load(Path(model)))
    if weights is not None and preprocessing is None and _is_checkpoint(weights):
        return Network(*checkpoint.load(weights, factory=model))
    if preprocessing is None or shape is None:
        raise ParameterError(
            f"say how {model} wants its input: --mean and --std per channel, in [0, 1] image units "
            "(--mean 0 --std 1 if it takes pixels divided by 255)"
        )
    module, spec = load_user(model, weights, preprocessing=preprocessing, shape=shape)
    return Network(module, spec, {})


def _is_checkpoint(path: Path) -> bool:
    from holdfast.models import checkpoint

    try:
        checkpoint.read_header(path)
    except ModelFileError:
        return False
    return True


def parse_preprocessing(mean: str | None, std: str | None, channels: int) -> Preprocessing | None:
    """``--mean`` and ``--std``: one number for all channels or one for each, separated by commas; None if neither.

    Example:
        >>> parse_preprocessing("0.5", "0.2,0.3,0.4", 3)
        Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.2, 0.3, 0.4))
    """
    if mean is None and std is None:
        return None
    return Preprocessing(_numbers(mean or "0", channels, "--mean"), _numbers(std or "1", channels, "--std"))


def _numbers(text: str, channels: int, name: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ParameterError(f"{name} takes numbers separated by commas, not {text!r}") from error
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise ParameterError(f"{name} has {len(values)} numbers, the images have {channels} channels")
    return values


def as_classifier(
    network: Network | IntegerNetwork,
    *,
    sigma: str | None = None,
    noise: str = "discrete",
    dtype: str = "float32",
    device: str = "cpu",
    threads: int | None = None,
    clip: bool = False,
    engine: str | None = None,
    compiled: bool = False,
) -> TorchClassifier | IntegerClassifier | NativeClassifier:
    """The network as a noisy classifier.

    Args:
        network: loaded.
        sigma: noise scale in image units; by default the one the network was trained at.
        noise: ``discrete``, ``rounded`` or ``continuous``.
        dtype: arithmetic of a float network.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of a forward pass; by default torch's own number, and for integer networks every core.
        clip: for integer networks: clip noisy pixels to 0..255.
        engine: for integer networks: ``native``, ``reference``, or by default native where it was built. The labels are
            the same.
        compiled: for float networks: through ``torch.compile``.

    Raises:
        ParameterError: an option that such a network does not have; no sigma was given and none is recorded, or a
            value is out of range.
    """
    law = noise_law(noise, exact_decimal(sigma_of(network, sigma), "sigma") * 255)
    if isinstance(network, IntegerNetwork):
        if dtype != "float32" or device != "cpu" or compiled:
            raise ParameterError(
                "an integer network has no --dtype or --compile and runs on the CPU: leave them and --device out"
            )
        return _integer_classifier(network, law, clip, engine, threads)
    if engine is not None:
        raise ParameterError("--engine goes with an integer network (.hfi): a float network is run by torch")
    if clip:
        raise ParameterError(
            "--clip goes with an integer network (.hfi): a float network sees the noisy pixels as they are"
        )
    from holdfast.engine.torch import TorchClassifier

    return TorchClassifier(
        network.module,
        num_classes=network.spec.num_classes,
        shape=network.spec.shape,
        preprocessing=network.spec.preprocessing,
        noise=law,
        dtype=dtype,
        device=device,
        threads=threads,
        compiled=compiled,
    )


def _integer_classifier(
    network: IntegerNetwork, noise: Noise, clip: bool, engine: str | None, threads: int | None
) -> IntegerClassifier | NativeClassifier:
    chosen = engine or ("native" if available() else "reference")
    if chosen not in ENGINES:
        raise ParameterError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    if chosen == "reference":
        return IntegerClassifier(network, noise, clip)
    return NativeClassifier(network, noise, clip, threads=threads or usable_cores())


def sigma_of(network: Network | IntegerNetwork, sigma: str | None) -> str:
    """The scale of the noise: what the user said, or else what the network says it was trained at.

    Raises:
        ParameterError: neither says anything.
    """
    chosen = sigma if sigma is not None else network.metadata.get("sigma")
    if chosen is None:
        raise ParameterError("the network does not say at which noise it was trained: give --sigma")
    return str(chosen)
