"""Starting a run: parameters are validated and fixed, then the nonce is drawn."""

from __future__ import annotations

import os

from holdfast.errors import ParameterError
from holdfast.noise import noise_charge
from holdfast.protocols import NoisyClassifier
from holdfast.records import Run
from holdfast.rounding import decimal_text, exact_decimal
from holdfast.stats import check_alpha, require_possible

__all__ = ["THEOREMS", "new_run"]

THEOREMS = {
    "discrete": "A1: discrete Gaussian, one class, exact, closed ball",
    "rounded": "I.1: rounded Gaussian, Cohen et al., one class, exact, open ball",
    "continuous": "Cohen et al. with float noise: OUTSIDE THE EXACT GUARANTEE",
}


def new_run(
    classifier: NoisyClassifier,
    *,
    data: str,
    data_digest: str,
    n0: int,
    n: int,
    alpha: str,
    nonce: str | None = None,
) -> Run:
    """A run for a classifier that is final: everything is fixed here, the nonce last.

    Args:
        classifier: what will be certified; it must not change afterwards.
        data: name of the data set.
        data_digest: hex SHA-256 of its images and labels.
        n0: samples that select the class, at least 1.
        n: samples that estimate its probability, at least n0.
        alpha: failure probability of each certificate, a decimal string in (0, 1/2).
        nonce: 64 hex digits to replay a run; drawn from the operating system otherwise.

    Raises:
        ParameterError: a value out of range.
        ImpossibleRequest: n too small for alpha; names the n needed.
    """
    level = check_alpha(exact_decimal(alpha, "alpha"))
    if n0 < 1:
        raise ParameterError(f"n0 must be at least 1, not {n0}")
    if n < n0:
        raise ParameterError(f"n={n} is smaller than n0={n0}: estimation needs at least as many samples as selection")
    require_possible(n, level)
    alpha_text = decimal_text(level)
    return Run(
        fingerprint=classifier.fingerprint,
        classifier=classifier.description,
        noise=classifier.noise.name,
        noise_digest=classifier.noise.digest,
        sigma=decimal_text(classifier.noise.sigma_px / 255),
        data=data,
        data_digest=data_digest,
        num_classes=classifier.num_classes,
        shape=tuple(classifier.shape),
        n0=n0,
        n=n,
        alpha=alpha_text,
        alpha_split=(alpha_text,),
        bound="Clopper-Pearson",
        looks=(n,),
        theorem=THEOREMS[classifier.noise.name],
        epsilon=str(noise_charge(classifier.noise.total_variation)),
        nonce=_checked_nonce(nonce) if nonce is not None else os.urandom(32).hex(),
        nonce_given=nonce is not None,
    )


def _checked_nonce(nonce: str) -> str:
    try:
        raw = bytes.fromhex(nonce)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ParameterError("a nonce is 64 hexadecimal digits")
    return raw.hex()
