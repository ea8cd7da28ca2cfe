"""Every verb, as a user types it: what it writes, what it says, and how it ends."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.ledger import Ledger, canonical_export, ledger_problems
from holdfast.rounding import cut_text, radius_text, share_text
from holdfast.workflows.summary import summarise

Run = Callable[..., Any]
FILES = {"digits.safetensors", "digits.ledger", "report.html", "report.md", "curve.png"}


def test_the_demo_leaves_exactly_its_files_and_says_where_they_are(demo: Path) -> None:
    assert {path.name for path in (demo / "out").iterdir()} == FILES
    said = (demo / "stdout").read_text()
    for name in FILES:
        assert str(demo / "out" / name) in said
    progress = (demo / "stderr").read_text()
    assert "training a small network" in progress
    assert "certifying 30 held-out digits, 1000 noisy copies each" in progress
    assert "Traceback" not in progress


def test_the_demo_says_the_numbers_of_its_ledger(demo: Path) -> None:
    with Ledger(demo / "out" / "digits.ledger") as ledger:
        (run,) = ledger.runs()
        assert list(ledger_problems(ledger)) == []
        summary = summarise(ledger, run)
    said = (demo / "stdout").read_text()
    assert (run.n0, run.n, run.alpha, run.sigma, run.nonce_given) == (100, 1000, "0.001", "0.15", False)
    assert f"Certified 30 held-out digits with n = 1000 noisy copies each; {summary['abstained']} abstained." in said
    assert f"Average certified radius: {cut_text(summary['average_certified_radius'])}\n" in said
    for radius, share in summary["certified_accuracy"].items():
        assert f"{share_text(share, 30)} at {radius}" in said
    assert summary["certified_accuracy"]["0"] > 0.7
    markdown = (demo / "out" / "report.md").read_text()
    assert f"| average certified radius | {cut_text(summary['average_certified_radius'])} |" in markdown
    assert run.id in (demo / "out" / "report.html").read_text()


def test_what_the_demo_suggests_next_works(demo: Path, holdfast: Run, tmp_path: Path) -> None:
    suggested = [
        line.split(maxsplit=1)[1] for line in (demo / "stdout").read_text().split("Try next:")[1].splitlines()[1:]
    ]
    assert [shlex.split(line)[0] for line in suggested] == ["verify", "predict", "certify", "report", "ledger"]
    copy = tmp_path / "digits.ledger"
    copy.write_bytes((demo / "out" / "digits.ledger").read_bytes())
    for line in suggested:
        arguments = [str(copy) if a.endswith(".ledger") else a for a in shlex.split(line)]
        answer = holdfast(*["300" if a == "100000" else a for a in arguments])
        assert answer.code == 0, answer


def test_the_ledger_of_the_demo_is_accepted_by_another_process(demo: Path, process: Run) -> None:
    out = demo / "out"
    answer: subprocess.CompletedProcess[str] = process(
        "verify", out / "digits.ledger", "--replay", 2000, "--fresh", 400, "--model", out / "digits.safetensors",
        "--data", "digits",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"{out / 'digits.ledger'}: 30 certificates in 1 run: holds\n"


def test_the_demo_again_shows_the_finished_one(
    demo: Path, holdfast: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.workflows import demo as work

    monkeypatch.setattr(work, "N", 1000)
    monkeypatch.setattr(work, "INPUTS", 30)
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("digits.safetensors", "digits.ledger"):
        (folder / name).write_bytes((demo / "out" / name).read_bytes())
    answer = holdfast("demo", "--out", folder)
    assert answer.code == 0
    assert "training" not in answer.err
    assert {path.name for path in folder.iterdir()} == FILES
    for name in FILES - {"digits.ledger"}:
        assert (folder / name).read_bytes() == (demo / "out" / name).read_bytes()
    assert shlex.split(answer.out.splitlines()[-1])[-1] == str(folder / "digits.ledger"), "can be pasted into a shell"


# certify


def test_certify_says_what_it_recorded(settings: list[Any], holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    answer = holdfast("certify", *settings, "--limit", 5, "--ledger", path, "--json")
    assert answer.code == 0
    said = json.loads(answer.out)
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
        assert said == summarise(ledger, run)
        assert ledger.finished(run) == {0, 100, 200, 300, 400}
    assert not run.nonce_given
    assert re.match(rf"run {run.id} in .*a.ledger: 5 inputs; A1: discrete Gaussian", answer.err)
    again = holdfast("certify", *settings, "--limit", 10, "--ledger", path)
    assert f"run {run.id} in {path}: continuing, 5 of 10 inputs done" in again.err
    lines = again.out.splitlines()
    assert lines[0].startswith(f"run {run.id}: 10 inputs, ")
    assert lines[1].startswith("average certified radius 0.")
    assert lines[-1] == f"Next: holdfast verify {path}"


def test_an_estimate_starts_nothing(settings: list[Any], holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    answer = holdfast("certify", *settings, "--limit", 7, "--ledger", path, "--estimate", "--json")
    assert answer.code == 0
    said = json.loads(answer.out)
    assert (said["inputs"], said["samples"]) == (7, 7 * 320)
    assert said["samples_per_second"] > 0
    text = holdfast("certify", *settings, "--limit", 7, "--ledger", path, "--estimate").out
    assert text.startswith("7 inputs, 2,240 samples at ")
    assert not path.exists()


def test_indices_new_runs_and_given_nonces(settings: list[Any], holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    first = json.loads(holdfast("certify", *settings, "--indices", "7,3", "--ledger", path, "--json").out)
    second = json.loads(holdfast("certify", *settings, "--indices", "3", "--ledger", path, "--json", "--new-run").out)
    third = json.loads(
        holdfast("certify", *settings, "--indices", "3", "--ledger", path, "--json", "--nonce", "ab" * 32).out
    )
    assert [s["inputs"] for s in (first, second, third)] == [2, 1, 1]
    assert len({s["run"] for s in (first, second, third)}) == 3
    assert [s["nonce_given"] for s in (first, second, third)] == [False, False, True]
    resumed = holdfast("certify", *settings, "--indices", "4", "--ledger", path, "--json", "--resume", first["run"][:8])
    assert json.loads(resumed.out)["run"] == first["run"]
    listed = holdfast("ledger", "list", path).out.splitlines()
    assert [line.endswith(", nonce given") for line in listed] == [False, False, True]


@pytest.mark.parametrize("noise", ["rounded", "continuous"])
def test_other_noises_say_what_they_guarantee(noise: str, settings: list[Any], holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    answer = holdfast("certify", *settings, "--indices", "0", "--noise", noise, "--sigma", "0.1", "--ledger", path)
    assert answer.code == 0
    assert ("outside the exact guarantee" in answer.out) == (noise == "continuous")
    assert holdfast("verify", path).code == 0


# predict, env


def test_predict_names_the_class_or_abstains(digits_model: Path, holdfast: Run, tmp_path: Path) -> None:
    grey = tmp_path / "grey.npy"
    np.save(grey, np.full((1, 8, 8), 128, dtype=np.uint8))
    text = holdfast("predict", digits_model, "digits:0", grey, "--n", 400)
    assert text.code == 0
    first, second = text.out.splitlines()
    assert re.fullmatch(r"digits:0: 0 \(\d+ of 400 samples, next class \d+, needed \d+\)", first)
    assert second.startswith(f"{grey}: ")
    said = json.loads(holdfast("predict", digits_model, "digits:0", "--n", 400, "--json").out)
    assert said[0]["image"] == "digits:0"
    assert (said[0]["label"], sum(said[0]["counts"])) == (0, 400)
    certain = json.loads(holdfast("predict", digits_model, grey, "--n", 30, "--alpha", "0.0000001", "--json").out)
    assert certain[0]["label"] in (-1, int(np.argmax(certain[0]["counts"])))


def test_env_says_what_matters(process: Run, holdfast: Run) -> None:
    said = json.loads(process("env", "--json").stdout)
    assert said["holdfast"] == "0.1.0"
    assert {"torch", "numpy", "python-flint", "noise sampler", "torch threads"} <= said.keys()
    assert [line.split()[0] for line in holdfast("env").out.splitlines()[:2]] == ["holdfast", "python"]


# ledger


def test_the_verbs_of_a_ledger_show_what_is_in_it(filled: Path, holdfast: Run, tmp_path: Path) -> None:
    with Ledger(filled) as ledger:
        (run,) = ledger.runs()
        entries, canonical = list(ledger.entries(run)), canonical_export(ledger)
    (line,) = holdfast("ledger", "list", filled).out.splitlines()
    assert line.startswith(f"{run.id}  digits test  sigma 0.15 discrete  n0 20 n 300 alpha 0.001  12 inputs, ACR 0.")
    assert json.loads(holdfast("ledger", "list", filled, "--json").out)[0]["run"] == run.id
    shown = holdfast("ledger", "show", filled, "--run", run.id[:5]).out
    assert f"  nonce: {run.nonce}\n" in shown
    rows = [row.split() for row in shown.split("p_lower\n")[1].splitlines()]
    for row, entry in zip(rows, entries, strict=True):
        c = entry.certificate
        predicted = "abstain" if c.abstained else str(c.label)
        assert row == [
            str(entry.index),
            str(entry.label),
            predicted,
            radius_text(c.radius_sq_px),
            cut_text(c.p_lower, 6),
        ]
        assert Fraction(row[4]) <= Fraction(c.p_lower)
    inputs = json.loads(holdfast("ledger", "show", filled, "--json").out)[0]["inputs"]
    assert [i["certificate"]["radius_sq_px"] for i in inputs] == [e.certificate.radius_sq_px for e in entries]
    assert holdfast("ledger", "check", filled).out == f"{filled}: clean\n"
    assert holdfast("ledger", "export", filled, "--canonical").out.encode() == canonical
    assert holdfast("ledger", "export", filled, "--canonical", "--out", tmp_path / "it.json").code == 0
    assert (tmp_path / "it.json").read_bytes() == canonical
    assert json.loads(holdfast("ledger", "export", filled).out)["runs"][0]["execution"]


def test_shares_of_a_run_are_merged(filled: Path, settings: list[Any], holdfast: Run, tmp_path: Path) -> None:
    parts = [tmp_path / "a.ledger", tmp_path / "b.ledger"]
    for part, indices in zip(parts, ("0:60:10", "40:120:10"), strict=True):
        assert holdfast("certify", *settings, "--indices", indices, "--ledger", part, "--nonce", "c0" * 32).code == 0
    answer = holdfast("ledger", "merge", tmp_path / "all.ledger", *parts)
    assert answer.out.splitlines() == [f"{parts[0]}: 6 certificates added", f"{parts[1]}: 6 certificates added"]
    exports = [holdfast("ledger", "export", path, "--canonical").out for path in (tmp_path / "all.ledger", filled)]
    assert exports[0] == exports[1]


def test_a_stranger_s_names_do_not_steer_the_terminal(copied: Path, holdfast: Run) -> None:
    with sqlite3.connect(copied) as database:
        database.execute("UPDATE runs SET body=json_set(body, '$.data', ?)", ("x\x1b[2K\rit: holds\n\x07",))
    for verb in (("list",), ("show",), ("check",)):
        out = holdfast("ledger", *verb, copied).out
        assert all(c.isprintable() or c == "\n" for c in out)
        assert "\nit: holds" not in out
