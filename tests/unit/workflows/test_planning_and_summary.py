"""Before a certification: what it will take. After it: its headline numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.ledger import Ledger
from holdfast.records import Run
from holdfast.stats import average_certified_radius, certified_accuracy
from holdfast.workflows import planning
from holdfast.workflows.summary import summarise


def test_an_estimate_extrapolates_the_speed_measured(squares: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 100, 0.25))
    monkeypatch.setattr(planning.time, "perf_counter", lambda: next(clock))
    found = planning.estimate(squares.classifier(), squares.data, [1, 2, 3], n0=100, n=10_000, batch=500)
    assert (found.inputs, found.samples) == (3, 30_300)
    assert found.samples_per_second == 3 * 500 / 1.25  # three batches end before the second is over
    assert found.seconds == 30_300 / 1200
    assert 0 < found.ledger_bytes < 30_300


@pytest.mark.parametrize("what", ["number of threads", "device"])
def test_labels_that_depend_on_the_machine_are_warned_of(
    what: str, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"number of threads": [False, False], "device": [False, False]} | {what: [False, True]}
    for name, depends in (("threads", found["number of threads"]), ("device", found["device"])):
        answers = iter(depends)
        monkeypatch.setattr(f"holdfast.engine.torch.labels_depend_on_{name}", lambda *_, answers=answers: next(answers))
    (warning,) = planning.self_test(squares.classifier(), squares.data, [4, 5, 6])
    assert f"labels of input 5 change with the {what}" in warning


def test_the_summary_is_that_of_the_metrics(whole: tuple[Run, Path, bytes]) -> None:
    run, path, _ = whole
    with Ledger(path) as ledger:
        summary = summarise(ledger, run)
        triples = [(e.label, e.certificate.prediction, e.certificate.radius_sq_px) for e in ledger.entries(run)]
    assert summary["inputs"] == len(triples) == 12
    assert summary["abstained"] == sum(k < 0 for _, _, k in triples)
    assert summary["average_certified_radius"] == average_certified_radius(triples)
    assert list(summary["certified_accuracy"])[:3] == ["0", str(run.sigma_px / 510), str(run.sigma_px / 255)]
    for radius, share in summary["certified_accuracy"].items():
        assert share == float(certified_accuracy(triples, Fraction(radius)))
