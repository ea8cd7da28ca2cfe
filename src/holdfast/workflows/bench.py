"""``holdfast bench``: how fast this machine labels noisy copies, each way it can, measured in turns in one run."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from holdfast.compression import to_integer
from holdfast.engine.integer import IntegerClassifier
from holdfast.engine.native import NativeClassifier, isas, usable_cores
from holdfast.engine.torch import BLOCK, cpu_threads
from holdfast.errors import ParameterError
from holdfast.intnet import IntegerNetwork
from holdfast.models import ModelSpec, build, to_input
from holdfast.noise import noise_law
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Preprocessing, Purpose
from holdfast.workflows.classifiers import Network, as_classifier

__all__ = ["Speed", "default_network", "measure", "quantised"]

_SIGMA = "0.25"
_ADDRESS = Address(bytes(32), bytes(32), Purpose.PILOT)

Labeller = Callable[[int], int]
"""Label so many noisy copies of one image at least; returns how many."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One way to label noisy copies: the whole loop with its noise.

    Attributes:
        name: what runs.
        threads: CPU threads.
        samples_per_second: of each round.
    """

    name: str
    threads: int
    samples_per_second: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.samples_per_second)


def default_network() -> Network:
    """ResNet-20 for CIFAR-10 shapes with its initial weights: speed does not depend on them."""
    spec = ModelSpec("resnet20", 10, (3, 32, 32), Preprocessing((0.5,) * 3, (0.25,) * 3))
    return Network(build(spec, seed=0).eval(), spec, {})


def quantised(network: Network) -> IntegerNetwork:
    """A float network's integer network, calibrated on random images: right for its speed, not for its accuracy."""
    images = np.random.default_rng(0).integers(0, 256, (64, *network.spec.shape), dtype=np.uint8)
    return to_integer(network.module, calibration=images, preprocessing=network.spec.preprocessing, sigma=_SIGMA)


def measure(
    floating: Network | None,
    integer: IntegerNetwork,
    *,
    rounds: int,
    seconds: float,
    compiled: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Speed]:
    """Every contender in turn, ``rounds`` times, so that other work on the machine meets all of them alike.

    Args:
        floating: the float network, for the torch loops; None leaves them out.
        integer: the integer network.
        rounds: turns of each.
        seconds: of each turn, at least.
        compiled: let the float network also run as ``certify --compile`` runs it, in float32 and bfloat16.
        on_progress: called with (turns done, turns in all).

    Raises:
        ParameterError: there is no float network to compile, or torch cannot compile it here.
    """
    contenders = list(_contenders(floating, integer, compiled))
    found: list[list[float]] = [[] for _ in contenders]
    for turn in range(rounds):
        for position, (_, _, label) in enumerate(contenders):
            found[position].append(_rate(label, seconds))
            on_progress(turn * len(contenders) + position + 1, rounds * len(contenders))
    return [Speed(name, threads, tuple(rates)) for (name, threads, _), rates in zip(contenders, found, strict=True)]


def _contenders(
    floating: Network | None, integer: IntegerNetwork, compiled: bool
) -> Iterator[tuple[str, int, Labeller]]:
    noise = noise_law("discrete", Fraction(_SIGMA) * 255)
    if floating is not None:
        for name, dtype, layout in (
            ("torch float32", torch.float32, torch.contiguous_format),
            ("torch float32, channels_last", torch.float32, torch.channels_last),
            ("torch bfloat16, channels_last", torch.bfloat16, torch.channels_last),
        ):
            yield name, 1, _torch_loop(floating, dtype, layout)
    if compiled:
        yield from _compiled(floating)
    yield "reference", 1, _engine_loop(IntegerClassifier(integer, noise), most=4)
    here = [isa for isa, supported in isas().items() if supported]
    cores = usable_cores()
    for isa, threads in [(isa, 1) for isa in here] + ([(here[-1], cores)] if here and cores > 1 else []):
        yield f"native {isa}", threads, _engine_loop(NativeClassifier(integer, noise, isa=isa, threads=threads))


def _compiled(floating: Network | None) -> Iterator[tuple[str, int, Labeller]]:
    if floating is None:
        raise ParameterError("an integer network has nothing to compile: give bench the float network")
    for dtype in ("float32", "bfloat16"):
        classifier = as_classifier(floating, sigma=_SIGMA, dtype=dtype, threads=1, compiled=True)
        yield classifier.executor, 1, _engine_loop(classifier, least=BLOCK)


def _engine_loop(classifier: NoisyClassifier, least: int = 1, most: int = 1 << 14) -> Labeller:
    """What ``certify`` runs, its noise included; at least and at most so many copies a call."""
    image = np.full(classifier.shape, 128, dtype=np.uint8)
    return lambda count: len(classifier.labels(image, _ADDRESS, 0, min(max(count, least), most)))


def _torch_loop(network: Network, dtype: torch.dtype, layout: torch.memory_format) -> Labeller:
    """What people run today: randn, add, forward, argmax, bincount, in float."""
    module = copy.deepcopy(network.module).eval().requires_grad_(False)
    module.to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]
    image = torch.full((1, *network.spec.shape), 128.0)
    sigma_px = float(Fraction(_SIGMA) * 255)
    counts = torch.zeros(network.spec.num_classes, dtype=torch.int64)

    def label(count: int) -> int:
        done = 0
        with torch.inference_mode(), cpu_threads(1):
            while done < count:
                noisy = image + torch.randn((BLOCK, *network.spec.shape)) * sigma_px
                batch = to_input(noisy, network.spec.preprocessing, dtype, layout)
                counts.add_(torch.bincount(module(batch).argmax(1), minlength=len(counts)))
                done += BLOCK
        return done

    return label


def _rate(label: Labeller, seconds: float) -> float:
    """Copies per second of wall-clock time, for at least so many seconds; calls grow until they take long enough."""
    done, count, began = 0, 1, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        done += label(count)
        count = min(count * 2, 1 << 14)
    return done / elapsed
