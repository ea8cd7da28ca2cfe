"""A run's headline numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from holdfast.ledger import Ledger
from holdfast.records import Run
from holdfast.rounding import decimal_text
from holdfast.stats import average_certified_radius, certified_accuracy

__all__ = ["summarise"]


def summarise(ledger: Ledger, run: Run) -> dict[str, Any]:
    """A run's headline numbers, as JSON values: certified accuracy at multiples of sigma/2 up to 2 sigma, ACR."""
    entries = list(ledger.entries(run))
    results = [(e.label, e.certificate.prediction, e.certificate.radius_sq_px) for e in entries]
    radii = [Fraction(run.sigma) * step / 2 for step in range(5)]
    return {
        "run": run.id,
        "data": run.data,
        "noise": run.noise,
        "sigma": run.sigma,
        "n0": run.n0,
        "n": run.n,
        "alpha": run.alpha,
        "exact": run.exact,
        "nonce_given": run.nonce_given,
        "inputs": len(entries),
        "abstained": sum(e.certificate.abstained for e in entries),
        "certified_accuracy": {decimal_text(r): float(certified_accuracy(results, r)) for r in radii},
        "average_certified_radius": average_certified_radius(results),
    }
