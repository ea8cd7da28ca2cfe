"""CERTIFY of Cohen et al. 2019 with integer noise: select a class, estimate its probability, prove a radius.

Sampling and deciding are apart: labels can come from a classifier or from a cache, the decision is a pure function
of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from holdfast.certify.radius import certified_count
from holdfast.digest import array_digest
from holdfast.errors import ParameterError
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Certificate, Purpose, Run, Tally

__all__ = ["DEFAULT_BATCH", "certify", "check_image", "decide", "label_batches", "upper_complement"]

DEFAULT_BATCH = 1024
"""Noisy copies labelled per call: sets memory and how often progress is kept, never a label."""


def label_batches(
    classifier: NoisyClassifier,
    image: NDArray[np.uint8],
    address: Address,
    start: int,
    stop: int,
    batch: int = DEFAULT_BATCH,
) -> Iterator[NDArray[np.uint16]]:
    """Labels of samples ``start .. stop-1`` in consecutive batches whose borders are multiples of ``batch``.

    Args:
        classifier: labels the noisy copies.
        image: uint8, the classifier's shape.
        address: where the noise comes from.
        start: first sample.
        stop: one past the last.
        batch: samples per call, at least 1; the labels do not depend on it.
    """
    if batch < 1:
        raise ParameterError(f"the batch size must be at least 1, not {batch}")
    while start < stop:
        end = min(stop, (start // batch + 1) * batch)
        yield classifier.labels(image, address, start, end - start)
        start = end


def decide(
    run: Run, index: int, input_digest: bytes, selection: NDArray[np.uint16], estimation: NDArray[np.uint16]
) -> Certificate:
    """The certificate that a run's labels prove: no sampling, no randomness.

    Args:
        run: the run.
        index: position of the input in the data set.
        input_digest: 32 bytes.
        selection: the labels of the ``n0`` selection samples.
        estimation: the labels of the ``n`` estimation samples, independent of the former.

    Raises:
        ParameterError: the labels are not exactly those of the run.

    Guarantee:
        See :class:`holdfast.records.Certificate`. The selected class never enters the bound's samples
        (docs/theory/statistics.md, "Two samples, two purposes").
    """
    if len(selection) != run.n0 or len(estimation) != run.n:
        raise ParameterError(
            f"the run needs {run.n0} + {run.n} labels, not {len(selection)} + {len(estimation)}: its n is fixed in advance"
        )
    selected, counted = Tally.of(selection, run.num_classes), Tally.of(estimation, run.num_classes)
    label = selected.top
    p_lower, radius_sq = certified_count(
        counted.counts[label], run.n, Fraction(run.alpha), run.sigma_px, Fraction(run.epsilon)
    )
    return Certificate(
        run=run.id,
        index=index,
        digest=input_digest.hex(),
        label=label,
        radius_sq_px=radius_sq,
        p_lower=p_lower,
        p_upper=upper_complement(p_lower),
        selection_counts=selected.counts,
        counts=counted.counts,
    )


def upper_complement(p_lower: float) -> float:
    """``1 - p_lower`` rounded up: no other class is more probable than that."""
    value = 1.0 - p_lower
    return value if Fraction(value) >= 1 - Fraction(p_lower) else float(np.nextafter(value, 2.0))


def check_image(image: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Refuse anything but a uint8 array of the classifier's shape; floats are never cast in silence."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = f"dtype {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ParameterError(f"an image must be a uint8 array of grey levels 0..255, not {kind}")
    if image.shape != tuple(shape):
        raise ParameterError(f"the image has shape {image.shape}, the classifier takes {tuple(shape)} (C, H, W)")
    return image


def certify(
    classifier: NoisyClassifier, image: NDArray[np.uint8], run: Run, index: int = 0, batch: int = DEFAULT_BATCH
) -> Certificate:
    """Certify one image within a run.

    Args:
        classifier: the one the run was started for.
        image: uint8, shape (C, H, W).
        run: from :func:`holdfast.certify.new_run`.
        index: position of the image in its data set.
        batch: samples per call; changes nothing but speed and memory.

    Raises:
        ParameterError: an unsuitable image, or another classifier or other noise than the run's.
    """
    if classifier.fingerprint != run.fingerprint:
        raise ParameterError("this run was started for another classifier")
    noise = classifier.noise
    if (noise.name, noise.sigma_px, noise.digest) != (run.noise, run.sigma_px, run.noise_digest):
        raise ParameterError(
            f"this run was started for {run.noise} noise with sigma_px {run.sigma_px}, the classifier adds {noise.name} "
            f"noise with sigma_px {noise.sigma_px}"
        )
    digest = array_digest(check_image(image, run.shape))

    def all_labels(purpose: Purpose, count: int) -> NDArray[np.uint16]:
        return np.concatenate(list(label_batches(classifier, image, run.address(digest, purpose), 0, count, batch)))

    return decide(run, index, digest, all_labels(Purpose.SELECT, run.n0), all_labels(Purpose.ESTIMATE, run.n))
