"""Every change behind the ledger's back is found by its check and named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.ledger import Ledger, ledger_problems
from holdfast.ledger.labels import labels_digest, pack_labels


def problems(path: Path) -> list[str]:
    with Ledger(path) as ledger:
        return list(ledger_problems(ledger))


def test_an_honest_ledger_is_clean(tmp_path: Path, evidence: Any) -> None:
    assert problems(evidence.ledger(tmp_path / "a.ledger", range(6))) == []


COUNTS = "the cached {} labels do not give the counts of the certificate"
CHANGES = {
    "a count": ("UPDATE certificates SET counts=json_set(counts, '$[0]', counts->'$[0]' + 1)", COUNTS.format("estimation")),
    "two counts, same sum": (
        "UPDATE certificates SET counts=json_set(counts, '$[0]', counts->'$[0]'-1, '$[1]', counts->'$[1]'+1)",
        COUNTS.format("estimation"),
    ),
    "a selection count": (
        "UPDATE certificates SET selection_counts=json_set(selection_counts, '$[2]', 19)",
        COUNTS.format("selection"),
    ),
    "the true label": ("UPDATE inputs SET label=3", "true label 3 is outside the 3 classes"),
    "a checksum": ("UPDATE labels SET sha256='00' WHERE purpose='select'", "select labels .* do not match their checksum"),
    "a blob": ("UPDATE labels SET body=zeroblob(30) WHERE purpose='estimate'", "cached labels is damaged"),
    "a blob cut off": ("UPDATE labels SET body=substr(body, 1, 9)", "does not hold the 20 labels"),
    "labels removed": ("DELETE FROM labels WHERE purpose='estimate'", "the estimate labels of input 4 .* are missing"),
    "a certificate removed": ("DELETE FROM certificates", "input 4: recorded without a certificate"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_entry_is_named(what: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    statement, message = CHANGES[what]
    path = evidence.ledger(tmp_path / "a.ledger", [1, 4, 5])
    where = " AND idx=4" if "WHERE" in statement else " WHERE idx=4"
    assert edit(path, statement + where) > 0
    (found,) = problems(path)
    assert found.startswith(f"run {evidence.run().id}, input 4: ")
    assert re.search(message, found), found


@pytest.mark.parametrize("position", [0, 57, 199])
@pytest.mark.parametrize("checksum_too", [False, True])
def test_one_cached_label_changed_is_found(
    position: int, checksum_too: bool, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0, 1])
    labels = evidence.labels(evidence.run(), 1)[1]
    labels[position] = (labels[position] + 1) % 3
    assert edit(path, "UPDATE labels SET body=? WHERE idx=1 AND purpose='estimate'", pack_labels(labels)) == 1
    if checksum_too:
        edit(path, "UPDATE labels SET sha256=? WHERE idx=1 AND purpose='estimate'", labels_digest(labels))
    (found,) = problems(path)
    assert ("do not give the counts" if checksum_too else "do not match their checksum") in found


def test_labels_outside_the_classes_are_found(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    labels = np.full(20, 999, dtype=np.uint16)
    edit(path, "UPDATE labels SET body=?, sha256=? WHERE purpose='select'", pack_labels(labels), labels_digest(labels))
    assert problems(path) == [f"run {evidence.run().id}, input 0: " + COUNTS.format("selection")]


@pytest.mark.parametrize("field", ["n", "n0", "alpha", "sigma", "fingerprint", "data", "theorem", "nonce"])
def test_a_changed_run_is_found(field: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    """The id is a hash of the record, and certificates refer to the id."""
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    run = evidence.run()
    values = {"n": 201, "n0": 21, "alpha": "0.011", "sigma": "0.08", "nonce": "cd" * 32}
    value = values.get(field, f"{getattr(run, field)}0")
    assert edit(path, f"UPDATE runs SET body=json_set(body, '$.{field}', ?)", value) == 1
    found = problems(path)
    assert len(found) == 1
    assert f"the record of run {run.id} was changed" in found[0]


def test_a_run_stored_twice_is_found(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "INSERT INTO runs(id, body) SELECT 'f00', body FROM runs")
    assert [text for text in problems(path) if "the record of run f00 was changed" in text]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE certificates SET run='0123456789abcdef'", "certificates: a row without its parent"),
        ("UPDATE inputs SET run='0123456789abcdef'", "a row without its parent"),
        ("DELETE FROM inputs", "certificates: a row without its parent"),
        ("DELETE FROM runs", "inputs: a row without its parent"),
    ],
)
def test_orphans_are_found(statement: str, found: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0, 1])
    edit(path, statement)
    assert any(found in text for text in problems(path))
