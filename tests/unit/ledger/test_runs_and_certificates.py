"""Runs are immutable, certificates are inserted if absent, and what contradicts is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import LedgerConflictError, LedgerError, ParameterError, RunMismatch
from holdfast.ledger import Execution, Ledger, canonical_export


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        yield ledger


def test_a_run_comes_back_as_it_was(ledger: Ledger, evidence: Any) -> None:
    runs = [
        evidence.run(),
        evidence.run(nonce="cd" * 32, drawn=False),
        evidence.run(nonce="ef" * 32, sigma="1/3"),
        evidence.run(nonce="12" * 32, classifier={"facts": [1.5, None, "ü\x00\n", {"deep": [True]}]}),
    ]
    for run in runs:
        ledger.add_run(run)
        ledger.add_run(run)
    assert ledger.runs() == runs
    assert [run.id for run in ledger.runs()] == [run.id for run in runs]


def test_a_run_is_found_by_the_beginning_of_its_id(ledger: Ledger, evidence: Any) -> None:
    runs = [evidence.run(nonce=f"{i:02x}" * 32) for i in range(17)]  # more than there are hexadecimal digits
    for run in runs:
        ledger.add_run(run)
    assert ledger.run(runs[3].id) == runs[3]
    assert ledger.run(runs[3].id[:15]) == runs[3]
    with pytest.raises(LedgerError, match="more than one run ''"):
        ledger.run("")
    twice = next(d for d in "0123456789abcdef" if sum(run.id.startswith(d) for run in runs) > 1)
    with pytest.raises(LedgerError, match=f"more than one run '{twice}'"):
        ledger.run(twice)
    with pytest.raises(LedgerError, match="no run 'nothing'") as caught:
        ledger.run("nothing")
    assert runs[0].id in str(caught.value)


def test_an_empty_ledger_has_no_run(ledger: Ledger, evidence: Any) -> None:
    assert ledger.matching_run(evidence.run().parameters()) is None
    with pytest.raises(LedgerError, match="runs here: none"):
        ledger.run("a")


def test_the_latest_run_with_the_same_parameters_is_resumed(ledger: Ledger, evidence: Any) -> None:
    first, second, other = evidence.run(), evidence.run(nonce="cd" * 32), evidence.run(n=300, nonce="ef" * 32)
    for run in (first, second, other):
        ledger.add_run(run)
    assert ledger.matching_run(first.parameters()) == second
    assert ledger.matching_run(first.parameters(), first.nonce) == first
    assert ledger.matching_run(first.parameters(), other.nonce) is None
    assert ledger.matching_run(evidence.run(n=201).parameters()) is None


@pytest.mark.parametrize(
    "change",
    [
        {"n": 400},
        {"n0": 30},
        {"alpha": "0.02"},
        {"sigma": "0.5"},
        {"noise": "rounded"},
        {"fingerprint": "0" * 64},
        {"looks": (200, 400)},
        {"data_digest": "e" * 64},
        {"epsilon": "0.5"},
    ],
)
def test_a_fixed_n_run_cannot_be_extended_or_changed(change: dict[str, Any], ledger: Ledger, evidence: Any) -> None:
    """Extending a run until it certifies fails several times as often as alpha says: the same noise, other parameters."""
    ledger.add_run(run := evidence.run())
    evidence.record(ledger, run, [0])
    before = canonical_export(ledger)
    with pytest.raises(RunMismatch, match=f"{next(iter(change))} is .*start another one") as caught:
        ledger.add_run(replace(run, **change))
    assert str(ledger.path) in str(caught.value)
    assert canonical_export(ledger) == before


@pytest.mark.parametrize("drawn", [True, False])
def test_a_drawn_nonce_stays_drawn_and_a_given_one_given(drawn: bool, ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(evidence.run(drawn=drawn))
    with pytest.raises(RunMismatch, match=r"the nonce of run .* was (drawn, not given|given, not drawn)"):
        ledger.add_run(evidence.run(drawn=not drawn))


@pytest.mark.parametrize(
    "change", [{"n": 1 << 25, "looks": (1 << 25,)}, {"n": 10}, {"num_classes": 1}, {"sigma": "1e9"}, {"nonce": "ab"}]
)
def test_a_run_that_could_not_be_read_again_is_not_written(
    change: dict[str, Any], ledger: Ledger, evidence: Any
) -> None:
    with pytest.raises(ParameterError, match="cannot keep such a run"):
        ledger.add_run(replace(evidence.run(), **change))
    assert ledger.runs() == []


def test_a_certificate_comes_back_as_it_was_with_its_labels(ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(run := evidence.run())
    evidence.record(ledger, run, [5, 2, 9])
    entries = list(ledger.entries(run))
    assert [entry.index for entry in entries] == [2, 5, 9]
    for entry in entries:
        assert entry.certificate == evidence.certificate(run, entry.index)
        assert (entry.label, entry.digest) == (entry.index % 3, entry.certificate.digest)
        for kept, made in zip(ledger.labels(run, entry.index), evidence.labels(run, entry.index), strict=True):
            assert kept.dtype == np.uint16
            assert np.array_equal(kept, made)


def test_recording_again_changes_nothing_but_the_times(ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(run := evidence.run())
    evidence.record(ledger, run, [0, 1])
    before = canonical_export(ledger)
    evidence.record(ledger, run, [1, 0], host="elsewhere")
    assert canonical_export(ledger) == before
    expected = [(0, "here"), (1, "here"), (1, "elsewhere"), (0, "elsewhere")]
    assert [(e.index, e.host) for e in ledger.executions(run)] == expected
    assert ledger.executions(run)[0] == Execution(run.id, 0, 220, 0.5, "here", "none", "2024-01-01")


def test_another_result_for_an_input_is_a_conflict_and_nothing_is_written(ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(run := evidence.run())
    evidence.record(ledger, run, [0])
    before = canonical_export(ledger)
    good, (selection, estimation) = evidence.certificate(run, 0), evidence.labels(run, 0)
    timing = Execution(run.id, 0, 1, 1.0, "x", "y", "z")
    others = [
        (0, replace(good, radius_sq_px=good.radius_sq_px + 1), selection, estimation),
        (0, replace(good, digest="0" * 64), selection, estimation),
        (1, good, selection, estimation),
        (0, good, selection[::-1], estimation),
        (0, good, selection, estimation[::-1]),
    ]
    for true_label, certificate, chosen, counted in others:
        with pytest.raises(LedgerConflictError, match=f"run {run.id} has another entry for input 0"):
            ledger.record(run, true_label, certificate, chosen, counted, timing)
    assert canonical_export(ledger) == before
    assert len(ledger.executions(run)) == 1


def test_a_certificate_needs_its_run(ledger: Ledger, evidence: Any) -> None:
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        evidence.record(ledger, evidence.run(), [0])
    assert ledger.integrity() == []


def test_inputs_without_labels_are_reported(ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(run := evidence.run())
    with pytest.raises(LedgerError, match=f"the select labels of input 7 of run {run.id} are missing"):
        ledger.labels(run, 7)


def test_identical_images_are_kept_apart(ledger: Ledger, evidence: Any) -> None:
    ledger.add_run(run := evidence.run())
    for index in (3, 4):
        certificate = replace(evidence.certificate(run, 3), index=index)
        ledger.record(run, index, certificate, *evidence.labels(run, 3))
    assert [(e.index, e.label) for e in ledger.entries(run)] == [(3, 3), (4, 4)]
