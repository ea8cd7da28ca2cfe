"""The studies' shared part: certifying by every method, and tables whose numbers are the ledgers'."""

from __future__ import annotations

import runpy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from holdfast import data
from holdfast.ledger import Ledger
from holdfast.rounding import certified_at
from holdfast.stats import certified_accuracy
from holdfast.workflows.classifiers import load_network

ROOT = Path(__file__).resolve().parents[2]
NAME, SIGMA = "digits-cnn-small-sigma0.15", "0.15"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """Eight digits by every method; certified twice, which must find everything done the second time."""
    from studies.certifying import METHODS, certify, results_of

    test, found = data.load("digits", "test"), {}
    with Ledger(tmp_path / "digits.ledger", create=True) as ledger:
        for method in METHODS:
            suffix = ".hfi" if method.integer else ".safetensors"
            network = load_network(str(ROOT / "studies" / "models" / f"{NAME}{suffix}"))
            runs = [
                certify(ledger, method, network, test, sigma=SIGMA, n=200, inputs=8, title=method.name, threads=1)
                for _ in range(2)
            ]
            assert runs[0] == runs[1]
            found[method.name] = results_of(ledger, runs[0])
            assert len(found[method.name]) == 8
        assert len(ledger.runs()) == len(METHODS)
    return found


def test_tables_show_the_ledgers_numbers(results: dict[str, Any]) -> None:
    from studies.certifying import loss_table, losses, metric_table, triples

    radii = [Fraction(0), Fraction(1, 4)]
    lines = metric_table(certified_accuracy, results, radii)
    assert lines[0] == "| method | ACR | 0 | 0.25 |"
    for line, (name, found) in zip(lines[2:], results.items(), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == name
        for cell, radius in zip(cells[2:], radii, strict=True):
            exact = certified_accuracy(triples(found), radius) * 100
            assert Fraction(cell) <= exact < Fraction(cell) + Fraction(1, 10)
    for radius, (difference, limit) in zip(
        radii, losses(results["FloatRS-fp"], results["IntRS-quant"], radii), strict=True
    ):
        sums = [
            sum(label == c.prediction and certified_at(c.radius_sq_px, radius) for label, c in results[name])
            for name in ("FloatRS-fp", "IntRS-quant")
        ]
        assert difference == Fraction(sums[0] - sums[1], 8)
        assert difference < limit <= 1
    assert [line.split("|")[1].strip() for line in loss_table(results, radii)[2:]] == [
        name for name in results if name != "IntRS-quant"
    ]


def test_every_run_of_the_integer_smoothing_study_is_named_once() -> None:
    from studies.intrs.plan import jobs

    planned = list(jobs())
    assert len({(job.ledger, job.sigma, job.kind.n, job.method.name) for job in planned}) == len(planned)


@pytest.mark.parametrize("module", ["train", "certify", "results", "figures", "cost", "caltech"])
def test_every_command_of_the_integer_smoothing_study_explains_itself(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"studies.intrs.{module}", run_name="__main__")
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out
