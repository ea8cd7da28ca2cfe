"""The canonical export says what was computed and nothing else; merging brings inputs together and never pools counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.digest import canonical_json
from holdfast.errors import LedgerConflictError, LedgerError, RunMismatch
from holdfast.ledger import Ledger, canonical_export, full_export, ledger_problems, merge
from holdfast.ledger.labels import labels_digest
from holdfast.records import Purpose


def exported(path: Path) -> bytes:
    with Ledger(path) as ledger:
        return canonical_export(ledger)


def test_the_canonical_export_holds_every_fact_once(tmp_path: Path, evidence: Any) -> None:
    run = evidence.run()
    text = exported(evidence.ledger(tmp_path / "a.ledger", [1, 0]))
    document = json.loads(text)
    assert text == canonical_json(document) + b"\n"
    assert (document["format"], document["version"], len(document["runs"])) == ("holdfast-ledger", 1, 1)
    form = document["runs"][0]
    assert form["id"] == run.id
    assert form["run"] == json.loads(json.dumps(asdict(run)))
    for index, entry in enumerate(form["inputs"]):
        selection, estimation = evidence.labels(run, index)
        assert entry["certificate"] == json.loads(json.dumps(asdict(evidence.certificate(run, index))))
        assert entry["labels"] == {"select": labels_digest(selection), "estimate": labels_digest(estimation)}
        assert (entry["index"], entry["label"]) == (index, index % 3)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 3, 1, 0, 2, 4, 0]])
def test_order_repetition_hosts_and_unfinished_work_do_not_show(
    order: list[int], tmp_path: Path, evidence: Any
) -> None:
    runs = [evidence.run(), evidence.run(n=300, nonce="cd" * 32), evidence.run(nonce="ef" * 32)]
    with Ledger(tmp_path / "plain.ledger", create=True) as plain:
        for run in runs:
            plain.add_run(run)
            evidence.record(plain, run, range(5), host=None)
        expected = canonical_export(plain)
    with Ledger(tmp_path / "mixed.ledger", create=True) as mixed:
        for run in reversed(runs):
            mixed.add_run(run)
        for index in order:
            for number, run in enumerate(runs):
                mixed.keep_partial(run, index, Purpose.SELECT, 0, np.ones(7, dtype=np.uint16))
                evidence.record(mixed, run, [index], host=f"host {number}")
        mixed.keep_partial(runs[0], 17, Purpose.SELECT, 0, np.ones(7, dtype=np.uint16))
        assert canonical_export(mixed) == expected
        assert canonical_export(mixed) != full_export(mixed)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE inputs SET label=(label+1)%3 WHERE idx=1",
        "UPDATE certificates SET radius_sq_px=radius_sq_px+1 WHERE idx=1",
        "UPDATE certificates SET p_lower='0.625' WHERE idx=0",
        "UPDATE labels SET sha256=replace(sha256, 'a', 'b') WHERE idx=1",
        "DELETE FROM labels WHERE idx=0 AND purpose='select'",
    ],
)
def test_every_other_difference_shows(change: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0, 1])
    before = exported(path)
    assert edit(path, change) > 0
    assert exported(path) != before


def test_the_full_export_adds_where_and_how_fast(tmp_path: Path, evidence: Any) -> None:
    with Ledger(evidence.ledger(tmp_path / "a.ledger", [0, 1], host="there")) as ledger:
        full, canonical = json.loads(full_export(ledger)), json.loads(canonical_export(ledger))
    timings, published = full["runs"][0].pop("execution"), full.pop("imported")
    assert published == []
    assert full == canonical
    assert [(t["index"], t["host"], t["samples"], t["seconds"]) for t in timings] == [
        (0, "there", 220, 0.5),
        (1, "there", 220, 0.5),
    ]


# Merging


def merged(target: Path, *sources: Path) -> list[int]:
    added = []
    with Ledger(target, create=True) as book:
        for source in sources:
            with Ledger(source) as other:
                added.append(merge(book, other))
        assert list(ledger_problems(book)) == []
    return added


@settings(max_examples=15)
@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=3))
def test_merging_any_shares_of_a_run_gives_their_union(
    tmp_path_factory: pytest.TempPathFactory, evidence: Any, shares: list[set[int]]
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    parts = [evidence.ledger(folder / f"{i}.ledger", share, host=f"host {i}") for i, share in enumerate(shares)]
    whole = evidence.ledger(folder / "whole.ledger", set().union(*shares), host=None)
    before = [exported(part) for part in parts]
    added = merged(folder / "merged.ledger", *parts)
    assert exported(folder / "merged.ledger") == exported(whole)
    assert sum(added) == len(set().union(*shares))
    assert merged(folder / "merged.ledger", *parts) == [0] * len(parts)
    assert [exported(part) for part in parts] == before


def test_unfinished_inputs_stay_where_they_are_and_both_hosts_can_finish(tmp_path: Path, evidence: Any) -> None:
    """Two hosts share a run; each has begun an input that the other has finished."""
    run = evidence.run()
    paths = [
        evidence.ledger(tmp_path / "a.ledger", [0, 2], host="a"),
        evidence.ledger(tmp_path / "b.ledger", [1], host="b"),
    ]
    for path, unfinished in zip(paths, (1, 2), strict=True):
        with Ledger(path) as ledger:
            ledger.keep_partial(run, unfinished, Purpose.ESTIMATE, 0, evidence.labels(run, unfinished)[1][:50])
    assert merged(paths[0], paths[1]) == [1]
    with Ledger(paths[0]) as ledger:
        assert ledger.finished(run) == {0, 1, 2}
        assert len(ledger.partial(run, 1, Purpose.ESTIMATE)) == 0
        assert {(e.index, e.host) for e in ledger.executions(run)} == {(0, "a"), (2, "a"), (1, "b")}
    with Ledger(paths[1]) as ledger:
        assert len(ledger.partial(run, 2, Purpose.ESTIMATE)) == 50


def test_runs_with_equal_parameters_and_other_keys_stay_apart(tmp_path: Path, evidence: Any) -> None:
    """Their samples are independent, but counts are never added up: n was fixed for each."""
    other = evidence.run(nonce="cd" * 32)
    merged(
        tmp_path / "m.ledger",
        evidence.ledger(tmp_path / "a.ledger", [0, 1]),
        evidence.ledger(tmp_path / "b.ledger", [0, 1], run=other),
    )
    with Ledger(tmp_path / "m.ledger") as ledger:
        assert [ledger.finished(run) for run in ledger.runs()] == [{0, 1}] * 2
        assert all(sum(e.certificate.counts) == run.n for run in ledger.runs() for e in ledger.entries(run))


CONFLICTS = {
    "true label": "UPDATE inputs SET label=(label+1)%3 WHERE idx=1",
    "image": "UPDATE inputs SET digest=replace(digest, 'a', 'b') WHERE idx=1",
    "radius": "UPDATE certificates SET radius_sq_px=radius_sq_px+1 WHERE idx=1",
    "label": "UPDATE certificates SET label=0 WHERE idx=1",
    "cached labels": "UPDATE labels SET sha256=replace(sha256, 'a', 'b') WHERE idx=1 AND purpose='estimate'",
}


@pytest.mark.parametrize("what", CONFLICTS)
def test_ledgers_that_contradict_each_other_are_not_merged(
    what: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    target = evidence.ledger(tmp_path / "a.ledger", [1, 2])
    source = evidence.ledger(tmp_path / "b.ledger", [1, 3])
    assert edit(source, CONFLICTS[what]) == 1
    before = exported(target)
    with pytest.raises(LedgerConflictError, match="input 1 differs from") as caught:
        merged(target, source)
    assert str(source) in str(caught.value)
    assert str(target) in str(caught.value)
    assert exported(target) == before


def test_a_damaged_source_is_refused(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    source = evidence.ledger(tmp_path / "b.ledger", [0])
    edit(source, "UPDATE labels SET body=zeroblob(20) WHERE purpose='select'")
    with pytest.raises(LedgerError, match="damaged"):
        merged(tmp_path / "a.ledger", source)


@pytest.mark.parametrize("change", [{"n": 400}, {"alpha": "0.02"}])
def test_a_run_that_was_extended_elsewhere_is_not_merged(change: dict[str, Any], tmp_path: Path, evidence: Any) -> None:
    target = evidence.ledger(tmp_path / "a.ledger", [0])
    source = evidence.ledger(tmp_path / "b.ledger", [], run=replace(evidence.run(), **change))
    with pytest.raises(RunMismatch, match="start another one"):
        merged(target, source)
