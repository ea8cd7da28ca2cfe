"""Reports of made-up results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from holdfast.certify import new_run
from holdfast.records import Certificate, ImportedResult, ImportedRun
from holdfast.report import ImportedReport, RunReport, Timing


@pytest.fixture(scope="session")
def report(brightness: Callable[..., Any]) -> Callable[..., RunReport]:
    """A report of triples (true label, label, radius_sq_px), with any field of its run changed."""
    drawn = new_run(
        brightness("38.25"), data="digits test", data_digest="d" * 64, n0=100, n=1000, alpha="0.001", nonce="00" * 32
    )
    run = replace(drawn, nonce_given=False)

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


@pytest.fixture
def full(report: Callable[..., RunReport]) -> Callable[..., RunReport]:
    """The same with pictures, times and names of classes."""

    def make(triples: Iterable[tuple[int, int, int]], **changes: Any) -> RunReport:
        made = report(triples, **changes)
        images = {c.index: np.full((1, 4, 4), c.index, np.uint8) for _, c in made.results}
        timings = tuple(Timing(c.index, 1100, 0.25 + c.index, "host", "torch") for _, c in made.results)
        return replace(made, images=images, timings=timings, classes=("zero", "one", "two"), source="a.ledger")

    return make


@pytest.fixture
def imported() -> Callable[..., ImportedReport]:
    """Published results: index, true label, prediction, radius as printed."""

    def make(*rows: tuple[int, int, int, str], name: str = "theirs") -> ImportedReport:
        results = tuple(ImportedResult(*row) for row in rows)
        known = ImportedRun(
            name=name, source="theirs.tsv", source_digest="e" * 64, data="digits", sigma="0.15", results=results
        )
        return ImportedReport(known, "a.ledger")

    return make
