"""The studies' shared part: certifying by every method, and tables whose numbers are the ledgers'."""

from __future__ import annotations

import runpy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from holdfast import data
from holdfast.ledger import Ledger
from holdfast.models import ModelSpec, build
from holdfast.records import Preprocessing
from holdfast.rounding import certified_at
from holdfast.stats import certified_accuracy
from holdfast.workflows.certify import open_run
from holdfast.workflows.classifiers import Network, as_classifier, load_network

ROOT = Path(__file__).resolve().parents[2]
NAME, OTHER, SIGMA = "digits-cnn-small-sigma0.15", "mnist-cnn-small-sigma0.25", "0.15"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """Eight digits by every method; certified twice, which must find everything done the second time."""
    from studies.certifying import METHODS, certify, finished_run, results_of

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
            integer = network if method.integer else None
            wanted = {"sigma": SIGMA + "0", "n": 200, "inputs": 8, "network": integer}
            assert finished_run(ledger, method, **wanted) == runs[0]
            assert finished_run(ledger, method, **wanted | {"inputs": 9}) is None
            assert finished_run(ledger, method, **wanted | {"n": 201}) is None
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


def test_limits_hold_at_every_radius_and_need_the_same_inputs(results: dict[str, Any]) -> None:
    from studies.certifying import limits_everywhere, losses

    pair = results["FloatRS-fp"], results["IntRS-quant"]
    limits = limits_everywhere(*pair)
    assert len(limits) > 1
    assert losses(*pair, [Fraction(0)])[0][1] == limits[0][1]  # certified at all is certified at the smallest end
    with pytest.raises(SystemExit, match="not of the same inputs"):
        limits_everywhere(pair[0], pair[1][:-1])


def test_a_run_counts_for_its_own_network_only(tmp_path: Path) -> None:
    from studies.certifying import METHODS, certify, finished_run

    test, scale = data.load("digits", "test"), {"sigma": SIGMA, "n": 100, "inputs": 2}
    networks = [load_network(str(ROOT / "studies" / "models" / f"{name}.hfi")) for name in (NAME, OTHER)]
    own, other = networks
    with Ledger(tmp_path / "digits.ledger", create=True) as ledger:
        run = certify(ledger, METHODS[0], own, test, title="own", threads=1, **scale)
        assert finished_run(ledger, METHODS[0], **scale, network=own) == run
        assert finished_run(ledger, METHODS[0], **scale, network=other) is None
        open_run(ledger, as_classifier(own, sigma=SIGMA), test, n0=100, n=100, alpha="0.001", fresh=True)
        assert finished_run(ledger, METHODS[0], **scale, network=own) == run
        with pytest.raises(SystemExit, match="all fit"):
            finished_run(ledger, METHODS[0], **scale | {"inputs": 0}, network=own)


def test_published_weights_begin_a_network_of_other_classes(tmp_path: Path) -> None:
    from studies.intrs.caltech import FULL, beginning

    training = data.DataSet("few", "train", np.zeros((3, 3, 32, 32), np.uint8), np.arange(3), ("a", "b", "c"))
    published = build(
        ModelSpec("resnet50", 5, (3, 32, 32), Preprocessing((0.5,) * 3, (0.25,) * 3)), seed=1
    ).state_dict()
    save_file(published, tmp_path / "published.safetensors")
    network = load_network(str(beginning(FULL, training, tmp_path / "published.safetensors", tmp_path)))
    assert isinstance(network, Network)
    assert network.spec.num_classes == 3
    for name, tensor in network.module.state_dict().items():
        assert name.startswith("fc.") or torch.equal(tensor, published[name])
    del published["conv1.weight"]
    save_file(published, tmp_path / "partial.safetensors")
    with pytest.raises(SystemExit, match=r"missing \['conv1.weight'\]"):
        beginning(FULL, training, tmp_path / "partial.safetensors", tmp_path)


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
