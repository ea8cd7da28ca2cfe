"""Reports of made-up results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from holdfast.certify import new_run
from holdfast.records import Certificate
from holdfast.report import RunReport


@pytest.fixture(scope="session")
def report(brightness: Callable[..., Any]) -> Callable[..., RunReport]:
    """A report of triples (true label, label, radius_sq_px), with any field of its run changed."""
    run = new_run(
        brightness("38.25"), data="digits test", data_digest="d" * 64, n0=100, n=1000, alpha="0.001", nonce="00" * 32
    )

    def make(triples: Iterable[tuple[int, int, int]], p_lower: float = 0.75, **changes: Any) -> RunReport:
        results = [
            (
                true_label,
                Certificate(
                    run=run.id, index=index, digest="a" * 64, label=label, radius_sq_px=radius_sq, p_lower=p_lower,
                    p_upper=1 - p_lower, selection_counts=(100, 0, 0), counts=(900, 100, 0),
                ),
            )
            for index, (true_label, label, radius_sq) in enumerate(triples)
        ]  # fmt: skip
        return RunReport(replace(run, **changes), tuple(results))

    return make
