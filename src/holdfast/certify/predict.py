"""PREDICT of Cohen et al. 2019: the smoothed class, or abstention, with a bounded chance of naming another class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from holdfast.certify.certify import DEFAULT_BATCH, check_image, label_batches
from holdfast.digest import array_digest
from holdfast.errors import ImpossibleRequest, ParameterError
from holdfast.protocols import NoisyClassifier
from holdfast.records import ABSTAIN, Address, Purpose, Tally
from holdfast.stats import check_alpha, critical_count

__all__ = ["Prediction", "decide_prediction", "predict"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer of PREDICT.

    Attributes:
        label: the smoothed class, or -1 (abstained).
        counts: class counts of the n samples.
        needed: how many samples of the top two classes the top one needed to be returned.
    """

    label: int
    counts: tuple[int, ...]
    needed: int

    @property
    def abstained(self) -> bool:
        """The two top classes could not be told apart."""
        return self.label == ABSTAIN


def decide_prediction(counts: tuple[int, ...], alpha: Fraction) -> Prediction:
    """Integers only: the top class iff its count reaches the critical value of the two top classes' total.

    Guarantee:
        Names another class than the smoothed classifier's with probability at most alpha
        (docs/theory/statistics.md, "PREDICT").

    Example:
        >>> decide_prediction((553, 447, 0), Fraction(1, 1000)).label, decide_prediction((552, 448, 0), Fraction(1, 1000)).label
        (0, -1)
    """
    order = sorted(range(len(counts)), key=lambda c: (-counts[c], c))
    first, second = counts[order[0]], counts[order[1]] if len(order) > 1 else 0
    needed = critical_count(first + second, alpha)
    return Prediction(order[0] if first >= needed else ABSTAIN, tuple(counts), needed)


def predict(
    classifier: NoisyClassifier,
    image: NDArray[np.uint8],
    n: int,
    alpha: Fraction,
    key: bytes | None = None,
    batch: int = DEFAULT_BATCH,
) -> Prediction:
    """The smoothed classifier's answer for one image.

    Args:
        classifier: labels noisy copies.
        image: uint8, shape (C, H, W).
        n: samples.
        alpha: failure probability in (0, 1/2).
        key: 32 secret bytes; by default fresh ones from the operating system. A key must never be used for a second
            query that an adversary can choose (docs/theory/randomness.md).
        batch: samples per call.

    Raises:
        ImpossibleRequest: n too small for alpha.
    """
    check_alpha(alpha)
    if n < 1:
        raise ParameterError(f"n must be at least 1, not {n}")
    if critical_count(n, alpha) > n:
        raise ImpossibleRequest(_too_few(n, alpha))
    digest = array_digest(check_image(image, tuple(classifier.shape)))
    address = Address(key if key is not None else os.urandom(32), digest, Purpose.PREDICT)
    labels = np.concatenate(list(label_batches(classifier, image, address, 0, n, batch)))
    return decide_prediction(Tally.of(labels, classifier.num_classes).counts, alpha)


def _too_few(n: int, alpha: Fraction) -> str:
    needed = n
    while critical_count(needed, alpha) > needed:
        needed += 1
    return f"n={n} is too small for alpha={float(alpha):g}: every answer would be abstain; n must be at least {needed}"
