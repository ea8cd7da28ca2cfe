"""`holdfast verify`: what was changed by one is named and the exit code is 1; a lucky key is refuted by fresh noise."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.certify import certify, new_run
from holdfast.data import load
from holdfast.ledger import Ledger
from holdfast.ledger.labels import labels_digest, pack_labels
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Preprocessing
from holdfast.workflows.classifiers import as_classifier, load_network

Run = Callable[..., Any]


def change(path: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(path) as database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


def victim(path: Path) -> int:
    """The input with the largest radius. (The noise of a float network depends on the machine, so it is looked for.)"""
    with Ledger(path) as ledger:
        best = max(ledger.entries(ledger.runs()[0]), key=lambda entry: entry.certificate.radius_sq_px)
    assert best.certificate.radius_sq_px > 1
    return best.index


def set_certificate(path: Path, assignment: str) -> None:
    change(path, f"UPDATE certificates SET {assignment} WHERE idx={victim(path)}")


def cached_label(path: Path, with_checksum: bool) -> None:
    index = victim(path)
    with Ledger(path) as ledger:
        labels = ledger.labels(ledger.runs()[0], index)[1]
    labels[123] = (labels[123] + 1) % 10
    where = f"WHERE idx={index} AND purpose='estimate'"
    change(path, f"UPDATE labels SET body=? {where}", pack_labels(labels))
    if with_checksum:
        change(path, f"UPDATE labels SET sha256=? {where}", labels_digest(labels))


def told(output: str) -> tuple[list[str], list[str], str]:
    """Findings, notes and the verdict."""
    *lines, verdict = output.splitlines()
    notes = [line for line in lines if line.startswith("NOTE: ")]
    return [line for line in lines if line not in notes], notes, verdict


ONE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a count": (
        lambda p: set_certificate(p, "counts=json_set(counts, '$[3]', counts->'$[3]'+1)"),
        "do not give the counts",
    ),
    "a label": (lambda p: set_certificate(p, "label=(label+1)%10"), "is not the class"),
    "a radius up": (lambda p: set_certificate(p, "radius_sq_px=radius_sq_px+1"), "is not proved by p_lower"),
    "a radius down": (lambda p: set_certificate(p, "radius_sq_px=radius_sq_px-1"), "it is smaller"),
    "a cached label": (lambda p: cached_label(p, False), "do not match their checksum"),
    "a cached label and its checksum": (lambda p: cached_label(p, True), "do not give the counts"),
}


@pytest.mark.parametrize("what", ONE)
def test_what_was_changed_by_one_is_named(what: str, copied: Path, digits_model: Path, holdfast: Run) -> None:
    assert holdfast("verify", copied).code == 0
    make, said = ONE[what]
    index = victim(copied)
    make(copied)
    answer = holdfast("verify", copied)
    assert answer.code == 1
    findings, _, verdict = told(answer.out)
    assert all(line.startswith("FAILS: run ") and f", input {index}: " in line for line in findings)
    assert any(said in line for line in findings)
    assert verdict == f"{copied}: 12 certificates in 1 run: does not hold"
    assert "Traceback" not in answer.err
    checked = holdfast("ledger", "check", copied)
    assert checked.code == int(what in ("a count", "a cached label", "a cached label and its checksum"))
    replayed = holdfast("verify", copied, "--replay", 400, "--model", digits_model, "--data", "digits", "--json")
    assert replayed.code == 1
    said_json = json.loads(replayed.out)
    assert said_json["verdict"] == "does not hold"
    assert {f["kind"] for f in said_json["findings"]} == {"fails"}


def test_a_true_label_that_was_changed_is_found_with_the_data(copied: Path, digits_model: Path, holdfast: Run) -> None:
    change(copied, "UPDATE inputs SET label=(label+1)%10 WHERE idx=30")
    assert holdfast("verify", copied).code == 0
    answer = holdfast("verify", copied, "--replay", 1, "--model", digits_model, "--data", "digits")
    assert answer.code == 1
    assert "input 30: its true label is " in answer.out


def test_a_ledger_holds_for_itself_and_for_machines(filled: Path, digits_model: Path, holdfast: Run) -> None:
    with_model = ["--model", digits_model, "--data", "digits"]
    for more in ([], ["--replay", 1000, *with_model], ["--fresh", 300, *with_model], ["--run", ""]):
        answer = holdfast("verify", filled, "--json", *more)
        assert answer.code == 0, answer
        said = json.loads(answer.out)
        (note,) = said.pop("notes")
        assert "its nonce was given, not drawn" in note
        assert said == {"certificates": 12, "findings": [], "runs": 1, "verdict": "holds"}


def test_a_nonce_that_was_chosen_is_mentioned_and_one_that_was_drawn_is_not(
    filled: Path, certify: Run, holdfast: Run, tmp_path: Path
) -> None:
    findings, notes, verdict = told(holdfast("verify", filled).out)
    with Ledger(filled) as ledger:
        (run,) = ledger.runs()
    assert findings == []
    assert [line.startswith(f"NOTE: run {run.id}: its nonce was given") for line in notes] == [True]
    assert verdict.endswith(": holds")
    drawn = tmp_path / "drawn.ledger"
    assert certify("--n0", 20, "--n", 100, ledger=drawn).code == 0
    assert told(holdfast("verify", drawn).out)[:2] == ([], [])


def test_where_there_is_nothing_to_verify_nothing_is_said_to_hold(tmp_path: Path, holdfast: Run, filled: Path) -> None:
    empty, only_a_run = tmp_path / "empty.ledger", tmp_path / "run.ledger"
    Ledger(empty, create=True).close()
    with Ledger(filled) as source, Ledger(only_a_run, create=True) as target:
        target.add_run(source.runs()[0])
    for path, runs in ((empty, "0 runs"), (only_a_run, "1 run")):
        answer = holdfast("verify", path)
        assert answer.code == 1
        assert told(answer.out)[2] == f"{path}: 0 certificates in {runs}: nothing to verify"
    assert json.loads(holdfast("verify", empty, "--json").out)["verdict"] == "nothing to verify"


def test_float_noise_is_mentioned(certify: Run, holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "float.ledger"
    assert certify("--n0", 20, "--n", 100, "--noise", "continuous", ledger=path).code == 0
    _, notes, _ = told(holdfast("verify", path).out)
    assert ["outside the exact guarantee" in line for line in notes] == [True]


def test_another_number_of_threads_is_not_reproducible_here_but_no_refutation(
    copied: Path, digits_model: Path, holdfast: Run
) -> None:
    """The record says another machine: its labels need not come out here, and cannot be held against it."""
    with Ledger(copied) as ledger:
        run = ledger.runs()[0]
    facts = json.dumps(run.classifier | {"device": "cpu of another kind"})
    with sqlite3.connect(copied) as database:
        database.execute("PRAGMA foreign_keys=OFF")
        database.execute(
            "UPDATE runs SET body=json_set(body, '$.classifier', json(?), '$.fingerprint', ?)", (facts, "0" * 64)
        )
    database.close()
    with Ledger(copied) as ledger:
        (moved,) = ledger.runs()
    for table in ("runs", "inputs", "certificates", "labels", "execution"):
        with sqlite3.connect(copied) as database:
            database.execute(f"UPDATE {table} SET {'id' if table == 'runs' else 'run'}=?", (moved.id,))
        database.close()
    answer = holdfast("verify", copied, "--replay", 600, "--model", digits_model, "--data", "digits")
    assert answer.code == 0
    findings, _, verdict = told(answer.out)
    assert findings[0] == f"NOT REPRODUCIBLE HERE: run {moved.id}: this machine differs in device"
    assert len(findings) > 1, "another key gives other labels"
    assert all(line.startswith("NOT REPRODUCIBLE HERE: ") for line in findings)
    assert verdict.endswith("12 certificates in 1 run: holds")


@pytest.fixture(scope="module")
def coin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network that compares the sum of four pixels with a number, and an image right at it: near one half each."""
    folder = tmp_path_factory.mktemp("coin")
    spec = ModelSpec("mlp", 2, (1, 2, 2), Preprocessing((0.0,), (1.0,)), {"widths": []})
    module = build(spec, seed=0)
    with torch.no_grad():
        module.layers[1].weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
        module.layers[1].bias.copy_(torch.tensor([4 * 128 / 255, -4 * 128 / 255]))
    checkpoint.save(folder / "coin.safetensors", module, spec, {"sigma": "0.1"})
    images = np.full((2, 1, 2, 2), 128, dtype=np.uint8)
    np.savez(folder / "coin.npz", images=images, labels=np.array([0, 1]))
    return folder / "coin.safetensors", folder / "coin.npz"


def test_a_key_ground_to_be_lucky_passes_every_formula_and_is_refuted_by_fresh_noise(
    coin: tuple[Path, Path], holdfast: Run, tmp_path: Path
) -> None:
    """Of 300 fixed keys the luckiest makes an even class look safe: p_lower far above one half, at alpha 0.05."""
    model, data = coin
    classifier = as_classifier(load_network(str(model)), threads=1)
    images = load(data)

    def luck(nonce: str) -> float:
        run = new_run(classifier, data="coin test", data_digest=images.digest, n0=5, n=80, alpha="0.05", nonce=nonce)
        return certify(classifier, images.images[0], run).p_lower

    luckiest = max((hashlib.sha256(b"nonce %d" % i).hexdigest() for i in range(300)), key=luck)
    ledger = tmp_path / "lucky.ledger"
    parameters = ["--n0", 5, "--n", 80, "--alpha", "0.05", "--threads", 1, "--indices", 0]
    made = holdfast("certify", model, "--data", data, *parameters, "--nonce", luckiest, "--ledger", ledger, "--json")
    assert json.loads(made.out)["abstained"] == 0
    with Ledger(ledger) as book:
        assert next(book.entries(book.runs()[0])).certificate.p_lower > 0.54
    with_model = ["--model", model, "--data", data]
    assert holdfast("verify", ledger, "--replay", 500, *with_model).code == 0, "the labels are honest"
    refuted = holdfast("verify", ledger, "--fresh", 5000, *with_model)
    assert refuted.code == 1
    (finding,), _, verdict = told(refuted.out)
    assert finding.startswith("REFUTED: run ")
    assert ", input 0: label " in finding
    assert "which contradicts the claimed probability 0.5" in finding
    assert verdict.endswith("1 certificates in 1 run: does not hold")
