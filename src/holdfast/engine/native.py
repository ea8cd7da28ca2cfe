"""Executor for integer networks in native code: the same labels as the reference, thousands of times as fast.

The engine (native/) has one set of kernels per instruction set. It takes the fastest one that this machine has and whose
known answers come out right, or the one that ``HOLDFAST_ISA`` names. Which one it was determines nothing but the time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from holdfast.engine.integer import IntegerClassifier, noisy_copies
from holdfast.errors import (
    HoldfastError,
    HoldfastWarning,
    MissingDependency,
    NetworkError,
    NotReproducibleHere,
    ParameterError,
    ProofFailed,
    ResourceError,
)
from holdfast.intnet import LAW_VERSION, IntegerNetwork
from holdfast.intnet.ops import Add, AvgPool, Concat, Conv, Input, Linear, MaxPool, Op, Pad, Rescale, Subsample
from holdfast.noise.integer_noise import IntegerNoise
from holdfast.noise.native import sampler
from holdfast.noise.tables import NoiseTable
from holdfast.protocols import Noise
from holdfast.records import Address

_native: Any
try:
    _native = import_module("holdfast._native")
except ImportError:  # installed without a compiler: the reference executor serves
    _native = None

__all__ = ["STATUS_ERRORS", "NativeClassifier", "NativeNetwork", "available", "encode", "isas", "usable_cores"]

STATUS_ERRORS: dict[int, type[HoldfastError]] = {
    1: ParameterError,
    2: NetworkError,
    3: NetworkError,
    4: ParameterError,
    5: NotReproducibleHere,
    6: ResourceError,
    7: ResourceError,
    8: ProofFailed,
}
"""What each status of the engine (native/include/holdfast.h) is raised as."""
_MAGIC = 0x48464931
_KINDS = ("Input", "Conv", "Linear", "Add", "MaxPool", "AvgPool", "Rescale", "Concat", "Flatten", "Pad", "Subsample")
_MOST_THREADS = 1024
_MORE_THREADS = (
    "{threads} threads were asked for, but this process may use {cores} of the machine's processors: "
    "more threads than that are no faster"
)


def available() -> bool:
    """Whether the native engine was built, and ``HOLDFAST_NATIVE`` is not ``0``. An older build, without it, does not count."""
    return hasattr(_native, "Plan") and os.environ.get("HOLDFAST_NATIVE", "1") != "0"


def isas() -> dict[str, bool]:
    """The instruction sets of this build, slowest first, and whether this machine has them.

    Example:
        >>> isas().get("portable", True)  # where the engine was built, this one is always there
        True
    """
    return dict(_native.isas()) if available() else {}


@final
class NativeNetwork:
    """An integer network, validated once more and packed for an instruction set.

    Args:
        network: the network.
        isa: ``portable``, ``avx2``, ``avx512vnni``, ``amxint8`` or ``neon``; by default ``HOLDFAST_ISA``, else the best
            one here.
        threads: how many threads share the images; by default 1. More than there are processors work, and warn.

    Raises:
        ParameterError: an instruction set that this build or machine does not have, or a bad number of threads.
        ResourceError: too little memory for the weights or, when it runs, for the activations; threads that the system
            does not give.
        NetworkError: the engine's own checks find that the network breaks the law.
        NotReproducibleHere: the instruction set that was asked for gives wrong answers on this machine, or all do.
        MissingDependency: the engine was not built.

    Guarantee:
        The logits of :func:`holdfast.intnet.reference.run`, bit for bit, on every machine, with every instruction set and
        any number of threads.
    """

    def __init__(self, network: IntegerNetwork, isa: str | None = None, threads: int = 1) -> None:
        if not available():
            raise MissingDependency(
                "the native engine is not built here: install holdfast where there is a C++ compiler, "
                "or use the reference engine"
            )
        if not 1 <= threads <= _MOST_THREADS:
            raise ParameterError(f"the number of threads must lie between 1 and {_MOST_THREADS}, not {threads}")
        if threads > (cores := usable_cores()):
            warnings.warn(_MORE_THREADS.format(threads=threads, cores=cores), HoldfastWarning, stacklevel=2)
        program, weights = encode(network)
        self.network, self.threads = network, threads
        self._plan = _call(_native.Plan, program, weights, _known_isa(isa or os.environ.get("HOLDFAST_ISA") or None))

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return str(self._plan.isa)

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes of the packed network, and of what one thread needs while it runs: activations, pixels, logits."""
        packed, per_thread = self._plan.memory
        return int(packed), int(per_thread)

    def logits(self, images: NDArray[Any]) -> NDArray[np.int32]:
        """Logits: int32, shape (N, num_classes), of uint8 or int16 images (N, C, H, W).

        Raises:
            ParameterError: images of another shape or dtype.
            ResourceError: too little memory or threads here; calling again, when there is more, gives the same.
        """
        shape = self.network.shape
        if images.dtype not in (np.uint8, np.int16) or images.shape[1:] != shape or images.ndim != 4:
            raise ParameterError(
                f"the network takes uint8 or int16 images (N, {', '.join(map(str, shape))}), "
                f"not {images.dtype} {images.shape}"
            )
        logits = np.empty((len(images), self.network.num_classes), dtype=np.int32)
        _call(self._plan.run, np.ascontiguousarray(images, dtype=np.int16), self.threads, logits)
        return logits

    def labels(
        self,
        image: NDArray[np.uint8],
        table: NoiseTable,
        key: tuple[int, int],
        start: int,
        count: int,
        clip: bool = False,
    ) -> NDArray[np.uint16]:
        """Labels of noisy copies ``start .. start+count-1``; the noise is drawn where it is used.

        Args:
            image: uint8, the network's shape.
            table: law of the noise.
            key: Philox key of the address.
            start, count: the samples.
            clip: clip noisy pixels to 0..255.

        Raises:
            ParameterError: an image of another shape or dtype.
            ResourceError: as for :meth:`logits`.
        """
        if image.dtype != np.uint8 or image.shape != self.network.shape:
            raise ParameterError(
                f"the network takes a uint8 image {self.network.shape}, not {image.dtype} {image.shape}"
            )
        labels = np.empty(count, dtype=np.uint16)
        image = np.ascontiguousarray(image)
        _call(self._plan.label, _call(sampler, table), image, key[0], key[1], start, clip, self.threads, labels)
        return labels


@final
class NativeClassifier:
    """An integer network as a noisy classifier, run by the native engine.

    It has the fingerprint, description and labels of :class:`~holdfast.engine.integer.IntegerClassifier`, whatever the
    instruction set and the number of threads.

    Args:
        network: the network.
        noise: law of the noise; integer laws are drawn inside the engine.
        clip: as there.
        isa, threads: as for :class:`NativeNetwork`.

    Raises:
        HoldfastError: as both do.
    """

    def __init__(
        self, network: IntegerNetwork, noise: Noise, clip: bool = False, *, isa: str | None = None, threads: int = 1
    ) -> None:
        self._twin = IntegerClassifier(network, noise, clip)
        self.network, self.noise, self.clip = network, noise, clip
        self.engine = NativeNetwork(network, isa, threads)

    @property
    def executor(self) -> str:
        """``native`` and the instruction set."""
        return f"native {self.engine.isa}"

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return self._twin.shape

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self._twin.num_classes

    @property
    def fingerprint(self) -> str:
        """That of the reference executor."""
        return self._twin.fingerprint

    @property
    def description(self) -> dict[str, Any]:
        """That of the reference executor: nothing about the machine or the engine."""
        return self._twin.description

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        """Labels of noisy copies ``start .. start+count-1``: uint16, length ``count``.

        Args:
            image: uint8, the network's shape.
            address: where the noise comes from.
            start: first sample, at least 0.
            count: number of samples, at least 0.
        """
        if isinstance(self.noise, IntegerNoise):
            return self.engine.labels(image, self.noise.table, address.philox_key(), start, count, self.clip)
        found = [np.empty(0, dtype=np.uint16)]
        for first in range(start, start + count, _COPIES):
            copies = noisy_copies(image, self.noise, address, first, min(_COPIES, start + count - first), self.clip)
            found.append(self.engine.logits(copies).argmax(axis=1).astype(np.uint16))
        return np.concatenate(found)


_COPIES = 256


def encode(network: IntegerNetwork) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """The network as the engine's program: 32-bit words (the grammar is in native/src/parse.cc) and all weights."""
    words = [_MAGIC, LAW_VERSION, len(network.operations)]
    weights = [np.empty(0, dtype=np.int8)]
    for op in network.operations:
        words.extend(_words(op))
        if isinstance(op, Conv | Linear):
            weights.append(op.weight.reshape(-1))
    return np.array(words, dtype=np.int32), np.concatenate(weights)


def _words(op: Op) -> Iterator[int]:
    yield _KINDS.index(type(op).__name__)
    if isinstance(op, Input):
        yield from (*op.shape, *op.center.tolist())
    elif isinstance(op, Add):
        yield from (*op.sources, *op.multipliers, op.shift, op.low, op.high)
    elif isinstance(op, Concat):
        yield from (len(op.sources), *op.sources)
    elif isinstance(op, Conv | Linear):
        yield from _weighted_words(op)
    else:
        yield op.source
    if isinstance(op, MaxPool | AvgPool):
        yield from (*op.kernel, *op.stride, *op.padding)
    if isinstance(op, MaxPool):
        yield from op.dilation
    if isinstance(op, Pad):
        yield from (*op.before, *op.after)
    if isinstance(op, Subsample):
        yield from op.stride
    if isinstance(op, Input | Conv | Linear | AvgPool | Rescale):
        law = op.requantise
        yield 0 if law is None else len(law.multiplier)
        if law is not None:
            yield from (law.low, law.high, *law.multiplier.tolist(), *law.shift.tolist())


def _weighted_words(op: Conv | Linear) -> Iterator[int]:
    yield from (op.source, -1 if op.residual is None else op.residual.source, *op.weight.shape)
    if isinstance(op, Conv):
        yield from (op.groups, *op.stride, *op.padding, *op.dilation)
    yield from op.bias.tolist()
    if op.residual is not None:
        yield from op.residual.factor.tolist()


def usable_cores() -> int:
    """Processors that this process may use, at least 1: fewer than the machine has where it is bound to some.

    Example:
        >>> usable_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _known_isa(name: str | None) -> str | None:
    """The name, if it is that of an instruction set here: what is none of this build's need not even be text."""
    known = isas()
    if name is None or known.get(name):
        return name
    if name in known:
        raise ParameterError(f"native engine: this processor does not have the instruction set {name}")
    raise ParameterError(f"native engine: this build has no instruction set {name[:40]!r}")


def _call(function: Any, *arguments: Any) -> Any:
    """Call the engine; its statuses become errors of the tree."""
    try:
        return function(*arguments)
    except _native.EngineError as error:
        status, message = error.args
        raise STATUS_ERRORS[status](f"native engine: {message}") from None
    except MemoryError:
        raise ResourceError("native engine: there is not enough memory") from None
