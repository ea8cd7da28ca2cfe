"""Before a certification starts: what it will take, and whether this machine computes labels steadily."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.certify import DEFAULT_BATCH, check_image, label_batches
from holdfast.data import DataSet
from holdfast.digest import array_digest
from holdfast.engine.integer import IntegerClassifier
from holdfast.engine.native import NativeClassifier
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Purpose

if TYPE_CHECKING:
    from holdfast.engine.torch import TorchClassifier

__all__ = ["Estimate", "estimate", "self_test"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a certification will take, measured on a few blocks of one input."""

    inputs: int
    samples: int
    samples_per_second: float
    ledger_bytes: int

    @property
    def seconds(self) -> float:
        """Time to label all samples."""
        return self.samples / self.samples_per_second


def estimate(
    classifier: NoisyClassifier, data: DataSet, indices: list[int], n0: int, n: int, batch: int = DEFAULT_BATCH
) -> Estimate:
    """Measure the speed on one input and extrapolate. Writes nothing; the key used is thrown away."""
    image = check_image(data.images[indices[0]], tuple(classifier.shape))
    address = Address(bytes(32), array_digest(image), Purpose.PILOT)
    for _ in label_batches(classifier, image, address, 0, min(batch, n), batch):
        pass
    began, samples = time.perf_counter(), 0
    while time.perf_counter() - began < 1.0:
        samples += len(classifier.labels(image, address, samples, batch))
    rate = samples / (time.perf_counter() - began)
    per_input = 600 + (n0 + n) // 6
    return Estimate(len(indices), len(indices) * (n0 + n), rate, len(indices) * per_input)


def self_test(
    classifier: TorchClassifier | IntegerClassifier | NativeClassifier, data: DataSet, indices: list[int]
) -> list[str]:
    """Warnings about labels that depend on the number of threads or on the device, found on two inputs.

    Integer networks have none: their labels depend on no machine.
    """
    warnings: list[str] = []
    if isinstance(classifier, IntegerClassifier | NativeClassifier):
        return warnings
    from holdfast.engine.torch import labels_depend_on_device, labels_depend_on_threads

    for index in indices[:2]:
        image = check_image(data.images[index], classifier.shape)
        address = Address(bytes(32), array_digest(image), Purpose.PILOT)
        for what, depend in (("number of threads", labels_depend_on_threads), ("device", labels_depend_on_device)):
            if depend(classifier, image, address):
                warnings.append(
                    f"labels of input {index} change with the {what}: certificates hold for this machine as it is "
                    "configured now, and cannot be replayed with another"
                )
    return warnings
