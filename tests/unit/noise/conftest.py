"""The native sampler, where it was built (where it must have been, its absence is a failure); proofs of tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flint import fmpq

from holdfast.noise import native
from holdfast.noise.tables import THRESHOLD_BITS, NoiseTable


@pytest.fixture
def native_sample_table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """:func:`holdfast.noise.native.sample_table`. With ``HOLDFAST_REQUIRE=all`` the skip is a failure."""
    monkeypatch.delenv("HOLDFAST_NATIVE", raising=False)
    if not native.available():
        pytest.skip("holdfast._native was not built (no C++ compiler at installation)")
    return native.sample_table


@pytest.fixture
def prove_table() -> Callable[[NoiseTable, Callable[[int], Any]], None]:
    """Proof, in ball arithmetic, of all that is said about a table, from another formula for its distribution function."""

    def prove(table: NoiseTable, cdf: Callable[[int], Any]) -> None:
        """``cdf(k)`` is a ball around F(k), narrow enough to decide every comparison."""
        one, last = 1 << THRESHOLD_BITS, -table.low
        true = {k: cdf(k) * one for k in range(-last - 1, last + 1)}
        assert len(table.thresholds) == 2 * last
        assert list(table.thresholds) == sorted(table.thresholds)
        errors = {k: t - true[k] for k, t in enumerate(table.thresholds, start=table.low)}
        assert all(abs(e) < 1 for e in errors.values())
        assert all(0 < t < one for t in table.thresholds)
        assert true[-last - 1] < 1, "what is dropped below the table must be less than one unit"
        assert one - true[last] < 1, "what is dropped above the table must be less than one unit"
        errors |= {-last - 1: -true[-last - 1], last: one - true[last]}
        inside = sum((abs(errors[k] - errors[k - 1]) for k in range(-last, last + 1)), start=0 * true[-1])
        outside = true[-last - 1] + (one - true[last])
        distance = (inside + outside) / 2 / one
        claimed = table.total_variation
        assert distance <= fmpq(claimed.numerator, claimed.denominator)

    return prove
