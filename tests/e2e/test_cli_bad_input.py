"""A user's mistake is one line that says what is wrong and what to do, with exit code 2; never a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]
IMAGES, LABELS = np.zeros((4, 1, 8, 8), dtype=np.uint8), np.arange(4)


PARAMETERS = {
    "--sigma 0": "sigma must be positive",
    "--sigma -0.25": "sigma must be positive",
    "--sigma wide": "sigma must be a decimal number such as 0.25, not 'wide'",
    "--sigma nan": "sigma must be a decimal number",
    "--sigma 1e99": "2400 grey levels",
    "--n 50": "n=50 is smaller than n0=100",
    "--n0 5 --n 9": "n=9 is too small for alpha=0.001: every input would abstain; n must be at least 10",
    "--n0 0": "n0 must be at least 1",
    "--n 99999999": "at most 16777216 labels",
    "--alpha 0": "alpha must lie between 0 and 0.5",
    "--alpha 0.5": "alpha must lie between 0 and 0.5",
    "--alpha small": "alpha must be a decimal number",
    "--noise white": "unknown noise 'white'; known: discrete, rounded, continuous",
    "--dtype int8": "unknown dtype 'int8'",
    "--device tpu9": "unknown device",
    "--nonce abc": "64 hexadecimal digits",
    "--resume abc": "no run 'abc'; runs here: none",
    "--limit 0": "at least 1",
    "--indices 1,x": "takes numbers and ranges such as 0,5,10:20",
    "--indices 500": "outside the data set, which has 500 inputs",
    "--indices 9:9": "chooses none of the 500 inputs",
    "--indices 1 --limit 2": "not both",
    "--split valid": "digits has no split 'valid', only train, test",
    "--data digitz": "Did you mean 'digits'",
    "--data nowhere/set.npz": "nowhere/set.npz",
    "--mean 0.5": "network of your own",
}


@pytest.mark.parametrize("options", PARAMETERS)
def test_an_unusable_parameter(options: str, certify: Run) -> None:
    answer = certify(*options.split())
    assert PARAMETERS[options] in answer.error
    assert answer.out == ""


def test_a_run_that_could_not_start_leaves_no_ledger(certify: Run, tmp_path: Path) -> None:
    assert certify("--n", 50).code == 2
    assert certify("--resume", "abc").code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_was_there_stays(certify: Run, copied: Path) -> None:
    before = copied.read_bytes()
    assert certify("--n", 50, ledger=copied).code == 2
    assert copied.read_bytes() == before


@pytest.mark.parametrize("options", ["--n0 5 --n 9", "--n 50", "--alpha 0.5", "--n 99999999", "--alpha small"])
def test_an_estimate_of_what_cannot_be_done_is_refused_like_the_thing_itself(options: str, certify: Run) -> None:
    answer = certify(*options.split(), "--estimate")
    assert PARAMETERS[options] in answer.error
    assert answer.out == ""


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{"images": IMAGES, "labels": LABELS} | arrays)
    return path


DATA: dict[str, tuple[Callable[[Path], Any], str]] = {
    "float images": (lambda p: npz(p, images=IMAGES / 255.0), "must be uint8 grey levels 0 to 255, not float64"),
    "int16 images": (lambda p: npz(p, images=IMAGES.astype(np.int16)), "must be uint8 grey levels 0 to 255, not int16"),
    "flat images": (lambda p: npz(p, images=IMAGES.reshape(4, 64)), "must have a shape (N, C, H, W)"),
    "larger images": (
        lambda p: npz(p, images=np.zeros((4, 1, 28, 28), np.uint8)),
        "images of shape (1, 28, 28) in 4 classes; the network takes (1, 8, 8)",
    ),
    "colour images": (lambda p: npz(p, images=np.zeros((4, 3, 8, 8), np.uint8)), "the network takes (1, 8, 8)"),
    "too many classes": (lambda p: npz(p, labels=LABELS + 8), "in 12 classes; the network takes (1, 8, 8) and knows 10"),
    "a label outside the classes": (
        lambda p: npz(p, labels=LABELS + 1, classes=np.array(["a", "b", "c", "d"])),
        "label 4 of image 3 is outside the 4 classes",
    ),
    "a negative label": (lambda p: npz(p, labels=LABELS - 1), "label -1 of image 0 is outside"),
    "fewer labels": (lambda p: npz(p, labels=LABELS[:3]), "labels must have shape (4,), not (3,)"),
    "float labels": (lambda p: npz(p, labels=LABELS / 1.0), "must be integers (N,)"),
    "no labels": (lambda p: np.savez(p, images=IMAGES), "has no array 'labels'"),
    "objects": (lambda p: npz(p, images=np.array([{}], dtype=object)), "refused"),
    "a file cut off": (lambda p: p.write_bytes(npz(p).read_bytes()[:300]), "damaged"),
    "no archive": (lambda p: p.write_text("images"), "not an .npz archive, or damaged"),
    "a folder": (lambda p: p.mkdir(), "it.npz"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_unusable_data(case: str, certify: Run, tmp_path: Path) -> None:
    make, said = DATA[case]
    make(tmp_path / "it.npz")
    answer = certify("--data", tmp_path / "it.npz")
    assert said in answer.error
    assert "it" in answer.error


def test_data_that_are_not_here_are_looked_for_and_named(certify: Run, tmp_path: Path) -> None:
    answer = certify("--data", "cifar10", "--data-dir", tmp_path)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.err.startswith("holdfast: cifar10 (test) was not found. Looked for\n")
    assert str(tmp_path / "cifar10") in answer.err.replace("cifar-10", "cifar10")
    assert "holdfast data fetch cifar10" in answer.err


def test_other_mistakes(copied: Path, digits_model: Path, holdfast: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases: list[tuple[list[object], str]] = [
        (["verify", copied, "--replay", 5], "give --model and --data"),
        (["verify", copied, "--fresh", 5, "--model", digits_model], "give --model and --data"),
        (
            ["verify", copied, "--replay", 5, "--model", digits_model, "--data", "digits", "--split", "train"],
            "other data",
        ),
        (["predict", digits_model, "digits:0", "--n", 5], "n must be at least 11"),
        (["predict", digits_model, "digits:0", "--sigma", "-1"], "sigma must be positive"),
        (["predict", digits_model, "digits:501"], "inputs are 0 to 499"),
        (["predict", digits_model, tmp_path / "no.png"], "no.png"),
        (["demo", "--out", tmp_path / "file"], "is a file; --out takes a folder"),
        (["demo", "--out", tmp_path / "file" / "folder"], "file"),
        (["ledger", "export", copied, "--out", tmp_path / "no" / "it.json"], "it.json"),
        (["ledger", "show", copied, "--run", "zz"], "no run 'zz'"),
    ]
    for arguments, said in cases:
        answer = holdfast(*arguments)
        assert said in answer.error, arguments


@pytest.mark.parametrize(
    "arguments", ["", "certify", "certify x --batch-size 0", "fly", "ledger", "verify --fresh -1 x"]
)
def test_wrong_usage_shows_how(arguments: str, holdfast: Run) -> None:
    answer = holdfast(*arguments.split())
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert "Usage: " in answer.err + answer.out
    assert os.linesep in answer.err + answer.out
