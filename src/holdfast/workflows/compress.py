"""``holdfast compress``: a trained float network to an integer network that was trained, checked and measured as such."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast import __version__
from holdfast.compression import Twin, require_equal, saturated_shares, to_twin
from holdfast.data import DataSet
from holdfast.errors import ParameterError
from holdfast.intnet import IntegerNetwork
from holdfast.records import Preprocessing
from holdfast.rounding import exact_decimal
from holdfast.training import EpochRecord, Recipe, accuracy, choose, train
from holdfast.training.draws import generator, integer_noise
from holdfast.training.objectives import Distilled
from holdfast.workflows.classifiers import INTEGER_SUFFIX, Network

__all__ = ["METHODS", "CompressRequest", "CompressResult", "compress_network"]

METHODS = ("int8",)
_VALIDATION, _COMPARED = 2000, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressRequest:
    """What the user asked for.

    Attributes:
        network: the trained float network.
        source: what it was loaded from, for the record.
        sigma: noise it will be certified with, in [0, 1] image units.
        recipe: schedule of the quantisation-aware training; None calibrates only.
        out: the ``.hfi`` file to write.
        method: one of :data:`METHODS`.
        seed: of order, augmentation and noise.
    """

    network: Network
    source: str
    sigma: str
    recipe: Recipe | None
    out: Path
    method: str = "int8"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CompressResult:
    """The integer network, and what compressing did.

    Attributes:
        network: as written to the file.
        before, after: clean and noisy accuracy on the test split.
        saturated: share of values at a clamp that cuts, per operation, under the noise.
        compared: logits on which the training twin and the integer network were found equal.
        float_bytes: of the float network's parameters, 4 bytes each.
        file_bytes: of the ``.hfi`` file.
    """

    network: IntegerNetwork
    before: tuple[float, float]
    after: tuple[float, float]
    saturated: tuple[float, ...]
    compared: int
    float_bytes: int
    file_bytes: int


def compress_network(
    request: CompressRequest,
    training: DataSet,
    test: DataSet,
    *,
    say: Callable[[str], None] = lambda _text: None,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
) -> CompressResult:
    """Calibrate, train with quantised numbers under the noise, convert, compare, measure, write.

    An interrupted training continues when the same call is made again: its state is kept beside ``out``.

    Args:
        request: what to compress.
        training: images to calibrate and train on.
        test: images to measure on; nothing is selected by them.
        say: called with a sentence before each step.
        on_epoch: called after every epoch.

    Raises:
        ParameterError: the file is there already, an unknown method, or data that do not fit the network.
        ConversionError: the network cannot be converted, or there was nothing to quantise.
        NetworkError: an accumulator could overflow.
    """
    _check(request, training)
    spec, module = request.network.spec, request.network.module
    say(f"calibrating on {training.name} with noise of sigma {request.sigma} ...")
    twin = to_twin(module, calibration=training.images, preprocessing=spec.preprocessing, sigma=request.sigma)
    if request.recipe is not None:
        _train(twin, request, training, test, on_epoch)
    say("converting, and comparing with the training twin ...")
    network = twin.integer_network()
    sigma_px = float(exact_decimal(request.sigma, "sigma") * 255)
    noisy = _noisy(test.images[:_COMPARED], sigma_px, request.seed)
    compared = require_equal(twin, network, noisy) + require_equal(twin, network, test.images[:_COMPARED])
    say(f"measuring on {len(test)} test images ...")
    before = _accuracies(module, test, spec.preprocessing, sigma_px)
    after = _accuracies(twin, test, None, sigma_px)
    network = IntegerNetwork(network.operations, _metadata(request, training, before, after))
    network.save(request.out)
    request.out.with_suffix(".state").unlink(missing_ok=True)
    return CompressResult(
        network,
        before,
        after,
        saturated_shares(twin, noisy),
        compared,
        4 * sum(p.numel() for p in module.parameters()),
        request.out.stat().st_size,
    )


def _check(request: CompressRequest, training: DataSet) -> None:
    if request.method not in METHODS:
        raise ParameterError(f"unknown method {request.method!r}; known: {', '.join(METHODS)}")
    if request.out.suffix != INTEGER_SUFFIX:
        raise ParameterError(f"an integer network goes into a {INTEGER_SUFFIX} file, not {request.out.name!r}")
    if request.out.exists():
        raise ParameterError(f"{request.out} is there already: choose another --out, or delete it to compress again")
    spec = request.network.spec
    if tuple(training.shape) != tuple(spec.shape):
        raise ParameterError(f"the network takes images {spec.shape} (C, H, W), {training.name} has {training.shape}")
    if training.num_classes > spec.num_classes:
        raise ParameterError(
            f"{training.name} has {training.num_classes} classes, the network knows {spec.num_classes}"
        )
    request.out.parent.mkdir(parents=True, exist_ok=True)


def _train(
    twin: Twin, request: CompressRequest, training: DataSet, test: DataSet, on_epoch: Callable[[EpochRecord], None]
) -> None:
    assert request.recipe is not None
    teacher = request.network.module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train(
        twin,
        training.images,
        training.labels,
        preprocessing=None,
        sigma=request.sigma,
        recipe=request.recipe,
        seed=request.seed,
        objective=Distilled(teacher, request.network.spec.preprocessing, choose("cpu")),
        compiled=False,
        state_path=request.out.with_suffix(".state"),
        log_path=request.out.with_suffix(".csv"),
        validation=(test.images[:_VALIDATION], test.labels[:_VALIDATION]),
        on_epoch=on_epoch,
    )


def _noisy(images: NDArray[np.uint8], sigma_px: float, seed: int) -> NDArray[np.int16]:
    noise = integer_noise(images.shape, sigma_px, generator(seed, 0, "compare"))
    noisy: NDArray[np.int16] = (noise + torch.tensor(images)).to(torch.int16).numpy()
    return noisy


def _accuracies(
    module: nn.Module, test: DataSet, preprocessing: Preprocessing | None, sigma_px: float
) -> tuple[float, float]:
    measured = (module, test.images, test.labels, preprocessing, choose("cpu", "float32"))
    return accuracy(*measured), accuracy(*measured, sigma_px=sigma_px)


def _metadata(
    request: CompressRequest, training: DataSet, before: tuple[float, float], after: tuple[float, float]
) -> dict[str, Any]:
    source = Path(request.source)
    return {
        "method": request.method,
        "source": source.name,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else None,
        "data": training.name,
        "data_digest": training.digest,
        "classes": list(training.classes),
        "sigma": request.sigma,
        "seed": request.seed,
        "recipe": None if request.recipe is None else request.recipe.to_json(),
        "float_clean_accuracy": before[0],
        "float_noisy_accuracy": before[1],
        "clean_accuracy": after[0],
        "noisy_accuracy": after[1],
        "holdfast": __version__,
    }
