"""Another person's look at the claims: those that do not hold are found, from the counts, by replay or by fresh noise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.certify import certify, decide, new_run
from holdfast.digest import array_digest
from holdfast.ledger import Ledger
from holdfast.records import Purpose, Run
from holdfast.workflows import verify as work
from holdfast.workflows.certify import certify_inputs

pytestmark = pytest.mark.usefixtures("fixed_randomness")


def test_an_honest_ledger_holds(squares: Any, whole: tuple[Run, Path, bytes]) -> None:
    calls: list[tuple[int, int]] = []
    with Ledger(whole[1]) as ledger:
        assert list(work.check_claims(ledger, lambda done, total: calls.append((done, total)))) == []
    assert calls == [(i, 12) for i in range(1, 13)]
    assert squares.computed(whole[1], fresh=2000) == []


COLUMNS = [
    ("p_lower", 1e-6, "is not a lower limit for"),
    ("p_lower", -1e-6, "it is lower"),
    ("radius_sq_px", 1, "is not proved by p_lower"),
    ("radius_sq_px", -1, "(it is smaller|is not proved)"),
    ("label", 1, "is not the class the selection samples chose"),
    ("label", -1, "is not the class the selection samples chose"),
    ("p_upper", -1e-6, "is not 1 - p_lower rounded up"),
    ("p_upper", 1e-6, "is not 1 - p_lower rounded up"),
]


@pytest.mark.parametrize(("column", "step", "said"), COLUMNS)
@pytest.mark.parametrize("index", [0, 4, 7])
def test_every_claim_changed_is_found(
    column: str, step: float, said: str, index: int, squares: Any, change: Callable[..., None], copied: Path
) -> None:
    """By other formulas than those that made them, whichever way it was changed."""
    change(f"UPDATE certificates SET {column}=cast({column}+? AS {'TEXT' if column[:2] == 'p_' else 'INTEGER'}) "
           "WHERE idx=?", step, index)  # fmt: skip
    found = squares.claims(copied)
    assert found
    assert all(f.kind == "fails" and f.fatal and f", input {index}: " in f.text for f in found)
    assert any(re.search(said, f.text) for f in found), found


def test_abstaining_cannot_be_turned_into_a_radius(squares: Any, change: Callable[..., None], copied: Path) -> None:
    with Ledger(copied) as ledger:
        (run,) = ledger.runs()
        index = next(e.index for e in ledger.entries(run) if e.certificate.abstained)
    change("UPDATE certificates SET radius_sq_px=0 WHERE idx=?", index)
    assert [f.text for f in squares.claims(copied) if "radius_sq_px=0 is not proved" in f.text]


@pytest.mark.parametrize(
    ("statement", "changes", "said"),
    [
        ("epsilon", {"epsilon": "0"}, "the charge for the noise table is 0, not"),
        ("alpha_split", {"alpha_split": ("0.001", "0.001")}, "do not add up to alpha"),
        ("looks", {"looks": (150, 300)}, "a fixed-n run has one look, at 300"),
        ("theorem", {"theorem": "better"}, "the theorem named, 'better', is not the one"),
        ("noise_digest", {"noise_digest": "0" * 64}, "the noise table of this law and scale has another digest"),
    ],
)
def test_a_run_that_states_something_else_is_found(
    statement: str, changes: dict[str, Any], said: str, squares: Any, tmp_path: Path
) -> None:
    """A ledger that is consistent in itself, made with other rules than ours."""
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        run = replace(squares.open(ledger), nonce="77" * 32, **changes)
        ledger.add_run(run)
        image, classifier = squares.data.images[0], squares.classifier()
        digest = array_digest(image)
        labels = [
            classifier.labels(image, run.address(digest, purpose), 0, count)
            for purpose, count in ((Purpose.SELECT, run.n0), (Purpose.ESTIMATE, run.n))
        ]
        ledger.record(run, 0, decide(run, 0, digest, *labels), *labels)
        found = list(work.check_claims(ledger))
    assert len(found) == 1, found
    assert found[0].text.startswith(f"run {run.id}: ")
    assert said in found[0].text


def forge(path: Path, squares: Any, index: int, label: int, nonce: str = "66" * 32) -> Run:
    """A certificate that is consistent in itself, from labels that nobody computed."""
    with Ledger(path, create=True) as ledger:
        run = squares.open(ledger, nonce=nonce)
        labels = [np.full(count, label, dtype=np.uint16) for count in (run.n0, run.n)]
        digest = bytes.fromhex(certify(squares.classifier(), squares.data.images[index], run, index).digest)
        ledger.record(run, int(squares.data.labels[index]), decide(run, index, digest, *labels), *labels)
    return run


def test_invented_labels_pass_every_formula_but_not_a_replay(squares: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    run = forge(path, squares, index=4, label=1)
    assert squares.claims(path) == []
    found = squares.computed(path, replay=600)
    assert found
    assert all(f.kind == "fails" and f.fatal for f in found)
    assert found[0].text.startswith(f"run {run.id}, input 4: ")
    assert "in the ledger (" in found[0].text


def test_the_same_difference_on_another_machine_is_no_refutation(squares: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    forge(path, squares, index=4, label=1)
    found = squares.computed(path, squares.classifier(facts={"threads": 8}), replay=600)
    assert found[0].text.endswith("this machine differs in threads")
    assert {f.kind for f in found} == {"not reproducible here"}
    assert not any(f.fatal for f in found)
    refuted = squares.computed(path, squares.classifier(facts={"threads": 8}), replay=0, fresh=2000)
    assert any(f.kind == "refuted" and f.fatal for f in refuted), "fresh noise needs no fingerprint"


def test_fresh_noise_refutes_invented_certificates_and_the_run(squares: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    for index in (4, 5, 9, 10):
        run = forge(path, squares, index, label=1)
    found = squares.computed(path, replay=0, fresh=2000)
    assert [f.kind for f in found] == ["refuted"] * len(found)
    assert any(f", input {i}: label 1 won " in f.text for i in (4, 9, 10) for f in found)
    assert f"run {run.id}: " in found[-1].text
    assert "certificates are false, too many for alpha=0.001" in found[-1].text


def test_fresh_noise_has_a_key_that_whoever_certified_could_not_know(
    squares: Any, whole: tuple[Run, Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, seen = squares.classifier(), []
    labels: Callable[..., Any] = classifier.labels
    monkeypatch.setattr(classifier, "labels", lambda image, at, *r: seen.append(at) or labels(image, at, *r))
    drawn = iter([b"1" * 32, b"2" * 32])
    monkeypatch.setattr(work.os, "urandom", lambda _: next(drawn))
    for _ in range(2):
        assert squares.computed(whole[1], classifier, replay=0, fresh=100) == []
    assert {at.run_key for at in seen} == {b"1" * 32, b"2" * 32}
    assert {at.purpose for at in seen} == {Purpose.VERIFY}


def test_a_key_that_was_ground_to_be_lucky_is_refuted(squares: Any, tmp_path: Path) -> None:
    """The class has probability near one half; of 400 fixed keys the luckiest claims much more. No formula objects."""
    index, classifier = 4, squares.classifier()
    settings = {"n0": 5, "n": 60, "alpha": "0.05"}
    keys = [hashlib.sha256(b"key %d" % number).hexdigest() for number in range(400)]

    def luck(key: str) -> float:
        run = new_run(classifier, data="squares test", data_digest=squares.data.digest, nonce=key, **settings)
        return certify(classifier, squares.data.images[index], run, index).p_lower

    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        run = squares.open(ledger, nonce=max(keys, key=luck), **settings)
        certify_inputs(ledger, run, classifier, squares.data, [index])
        (entry,) = ledger.entries(run)
    assert entry.certificate.p_lower > 0.55
    assert squares.claims(tmp_path / "a.ledger") == []
    assert squares.computed(tmp_path / "a.ledger", replay=500) == []
    found = squares.computed(tmp_path / "a.ledger", replay=0, fresh=5000)
    assert [f.kind for f in found] == ["refuted"]
    assert f"run {run.id}, input 4: label {entry.certificate.label} won " in found[0].text
