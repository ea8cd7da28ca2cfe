"""Compressing the demo's network as a user does it, and every verb on what comes out."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast import intnet
from holdfast.ledger import Ledger, ledger_problems
from holdfast.workflows.summary import summarise

Run = Callable[..., Any]
NONCE = "c0" * 32


@pytest.fixture(scope="session")
def floats(demo: Path) -> Path:
    """The demo's float network."""
    return demo / "out" / "digits.safetensors"


@pytest.fixture(scope="session")
def compressed(once: Run, floats: Path) -> Path:
    """A folder with net.hfi, its log, and what the command said; not to be changed."""

    def fill(folder: Path) -> None:
        command = [sys.executable, "-m", "holdfast", "compress", str(floats), "--data", "digits", "--qat-epochs", "1"]
        with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
            subprocess.run(
                [*command, "--out", str(folder / "net.hfi")], stdout=out, stderr=err, check=True, timeout=600
            )

    return once("compressed", fill)


@pytest.fixture(scope="session")
def integers(compressed: Path) -> Path:
    """The integer network."""
    return compressed / "net.hfi"


@pytest.fixture
def ledger_of(integers: Path, holdfast: Run, tmp_path: Path) -> Callable[..., Path]:
    """Certify some digits into a new ledger with these options."""

    def certify(*options: object) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.ledger"
        given = ["--n0", 20, "--n", 300] if "--n" not in options else []
        answer = holdfast("certify", integers, "--data", "digits", "--limit", 4, *given, "--ledger", path, *options)
        assert answer.code == 0, answer
        return path

    return certify


# compress


def test_it_says_what_it_did(compressed: Path, integers: Path) -> None:
    said, network = (compressed / "stdout").read_text().splitlines(), intnet.load(integers)
    assert said[0].split() == ["operation", "name", "shape", "bits", "multipliers", "accumulator", "<=", "bytes",
                               "MACs", "saturated"]  # fmt: skip
    rows = [line.split() for line in said[1 : 1 + len(network.operations)]]
    assert [row[:2] for row in rows] == [[type(op).__name__, op.name] for op in network.operations]
    assert all(re.fullmatch(r"\d+\.\d\d%", row[-1]) for row in rows)
    facts = network.metadata
    assert said[-5:-3] == [
        "training twin and integer network agree on all 1280 logits compared",
        f"clean accuracy {facts['float_clean_accuracy']:.4f} before, {facts['clean_accuracy']:.4f} after",
    ]
    assert f"{integers.stat().st_size:,} bytes in {integers} after" in said[-2]


def test_it_says_how_far_it_is_and_nothing_else(compressed: Path) -> None:
    """No warning of a library; one line for each epoch."""
    lines = (compressed / "stderr").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["calibrating", "epoch", "converting,", "measuring"]
    assert lines[1].startswith("epoch   1/1: loss ")


def test_it_leaves_the_network_and_its_log(compressed: Path) -> None:
    assert {path.name for path in compressed.iterdir()} == {"net.hfi", "net.csv", "stdout", "stderr"}


def test_what_it_suggests_next_works(compressed: Path, holdfast: Run, tmp_path: Path) -> None:
    suggested = (compressed / "stdout").read_text().splitlines()[-1]
    assert suggested.startswith("Next: holdfast certify ")
    words = shlex.split(suggested)[2:]
    swapped = {str(compressed / "net.ledger"): str(tmp_path / "net.ledger"), "100": "1"}
    assert holdfast(*[swapped.get(word, word) for word in words]).code == 0


@pytest.mark.parametrize("epochs", [0, 1])
def test_eight_bits_cost_little(epochs: int, floats: Path, compressed: Path, holdfast: Run, tmp_path: Path) -> None:
    """At most 0.01 of clean accuracy on 500 held-out digits, also without any training."""
    if epochs:
        facts = intnet.load(compressed / "net.hfi").metadata
    else:
        options = ["--data", "digits", "--qat-epochs", 0, "--out", tmp_path / "calibrated.hfi", "--json"]
        facts = json.loads(holdfast("compress", floats, *options).out)
        assert facts["recipe"] is None
        assert facts["logits_compared"] == 1280
        assert facts["digest"] == intnet.load(tmp_path / "calibrated.hfi").digest
    assert facts["float_clean_accuracy"] > 0.9
    assert facts["clean_accuracy"] >= facts["float_clean_accuracy"] - 0.01
    assert facts["noisy_accuracy"] >= facts["float_noisy_accuracy"] - 0.02


def test_interrupted_and_called_again_it_gives_the_same_bytes(
    floats: Path, holdfast: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(out: Path) -> list[object]:
        return ["compress", floats, "--data", "digits", "--qat-epochs", 2, "--out", out]

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    whole, halves = tmp_path / "whole.hfi", tmp_path / "halves.hfi"
    assert holdfast(*command(whole)).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("holdfast.cli.compress.epoch_line", interrupt)
        stopped = holdfast(*command(halves))
    assert stopped.code == 130
    assert "run the same command again to continue" in stopped.err.splitlines()[-1]
    assert not halves.exists()
    resumed = holdfast(*command(halves))
    assert resumed.code == 0
    assert "epoch   2/2" in resumed.err
    assert "epoch   1/2" not in resumed.err
    assert halves.read_bytes() == whole.read_bytes()
    assert not halves.with_suffix(".state").exists()


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(144, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc({last}(x).flatten(1))
"""


def test_a_network_of_one_s_own(holdfast: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_whole.py").write_text(OWN.format(last="torch.relu"))
    options = ["--data", "digits", "--mean", 0, "--std", 1, "--sigma", "0.1", "--qat-epochs", 0]
    done = holdfast("compress", "mine_whole:Net", *options, "--out", "mine.hfi")
    assert done.code == 0, done
    assert intnet.load("mine.hfi").metadata["sigma"] == "0.1"
    (tmp_path / "mine_broken.py").write_text(OWN.format(last="torch.sin"))
    refused = holdfast("compress", "mine_broken:Net", *options, "--out", "broken.hfi").error
    assert "sin" in refused
    assert "mine_broken.py:13" in refused
    assert not Path("broken.hfi").exists()


# The same verbs


def test_certified_verified_predicted(
    integers: Path, ledger_of: Callable[..., Path], holdfast: Run, tmp_path: Path
) -> None:
    path = ledger_of("--n", 1000)
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
        summary = summarise(ledger, run)
        assert list(ledger_problems(ledger)) == []
    network = intnet.load(integers)
    assert run.fingerprint == network.digest
    assert (run.exact, run.sigma, run.classifier["evaluation"]) == (True, "0.15", "integer")
    assert summary["certified_accuracy"]["0"] >= 0.5
    answer = holdfast("verify", path, "--replay", 500, "--fresh", 300, "--model", integers, "--data", "digits")
    assert answer.out == f"{path}: 4 certificates in 1 run: holds\n"
    said = holdfast("predict", integers, "digits:0", "--n", 300)
    assert re.fullmatch(r"digits:0: 0 \(\d+ of 300 samples, next class \d+, needed \d+\)\n", said.out)


def test_another_network_does_not_replay_it(
    integers: Path, ledger_of: Callable[..., Path], holdfast: Run, tmp_path: Path
) -> None:
    """The biases of the classifier in another order: of the same size, but another digest."""
    network = intnet.load(integers)
    *start, last = network.operations
    assert isinstance(last, intnet.Linear)
    other = intnet.IntegerNetwork([*start, replace(last, bias=last.bias[::-1].copy())], network.metadata)
    other.save(tmp_path / "other.hfi")
    answer = holdfast("verify", ledger_of(), "--replay", 300, "--model", tmp_path / "other.hfi", "--data", "digits")
    assert answer.code == 2, answer
    assert re.search(r"about another model: .*network.* differ", answer.err), answer.err


@pytest.mark.parametrize(
    "options", [["--batch-size", 100], ["--batch-size", 4096, "--threads", 1], ["--engine", "reference"]], ids=str
)
def test_nothing_but_the_network_and_the_nonce_makes_the_ledger(
    options: list[object], ledger_of: Callable[..., Path], holdfast: Run
) -> None:
    one, two = (ledger_of("--nonce", NONCE, *more) for more in ([], options))
    exports = [holdfast("ledger", "export", path, "--canonical").out for path in (one, two)]
    assert exports[0] == exports[1]


@pytest.mark.parametrize("clip", [False, True])
def test_the_float_baseline_is_marked(
    clip: bool, integers: Path, ledger_of: Callable[..., Path], holdfast: Run, tmp_path: Path
) -> None:
    """FloatRS-quant: continuous noise, rounded, clipped or not; whatever shows it says that it proves nothing."""
    options = ["--noise", "continuous", *(["--clip"] if clip else [])]
    path = ledger_of(*options)
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
    assert (run.noise, run.exact, run.classifier["clip"]) == ("continuous", False, clip)
    assert "OUTSIDE THE EXACT GUARANTEE" in run.theorem
    digest = intnet.load(integers).digest
    assert (run.fingerprint == digest) == (not clip)
    verified = holdfast("verify", path, "--replay", 300, "--model", integers, "--data", "digits").out.splitlines()
    assert verified == [
        f"NOTE: run {run.id}: float noise; its radii are outside the exact guarantee",
        f"{path}: 4 certificates in 1 run: holds",
    ]
    again = holdfast(
        "certify", integers, "--data", "digits", "--limit", 1, "--n", 300, "--ledger", tmp_path / "x", *options
    )
    assert "outside the exact guarantee" in again.out


def test_clipping_keeps_the_guarantee_of_integer_noise(ledger_of: Callable[..., Path], holdfast: Run) -> None:
    """It is a part of the classifier, and another one than without."""
    with Ledger(ledger_of("--clip")) as ledger:
        (run,) = ledger.runs()
    assert (run.exact, run.classifier["clip"]) == (True, True)


# inspect


def test_inspect_shows_the_table_and_checks_the_integers(integers: Path, holdfast: Run) -> None:
    network = intnet.load(integers)
    shown = holdfast("inspect", integers).out
    assert f"digest {network.digest} (what certificates name), law version 1" in shown
    operations, arrays = intnet.require_integers(network)
    assert f"checked: every number in {operations} operations and {arrays} arrays is an integer\n" in shown
    table = [line.split() for line in shown.splitlines() if line.split()[:1] and line.split()[0] in ("Conv", "Linear")]
    assert [row[1] for row in table] == [op.name for op in network.operations if hasattr(op, "weight")]
    assert "  sigma: 0.15\n" in shown


def test_inspect_as_json_is_complete(integers: Path, holdfast: Run) -> None:
    network, facts = intnet.load(integers), json.loads(holdfast("inspect", integers, "--json").out)
    assert facts["sha256"] == sha256(integers.read_bytes()).hexdigest()
    assert facts["digest"] == network.digest
    assert facts["metadata"] == network.metadata
    assert (facts["weights"], facts["macs"], facts["shape"]) == (network.weights, network.macs, [1, 8, 8])
    assert facts["integers_checked"]["operations"] == len(facts["operations"]) == len(network.operations)
    for shown, row in zip(facts["operations"], intnet.layer_table(network), strict=True):
        assert (shown["name"], shown["accumulator"], shown["bytes"]) == (row.name, row.accumulator, row.bytes)


# Mistakes


MISTAKES = {
    "certify {hfi} --data digits --ledger l --dtype bfloat16": "an integer network has no --dtype",
    "certify {hfi} --data digits --ledger l --compile": "an integer network has no --dtype or --compile",
    "certify {hfi} --data digits --ledger l --device cuda": "runs on the CPU: leave them and --device out",
    "certify {hfi} --data digits --ledger l --weights {floats}": "network of your own",
    "certify {hfi} --data twelve.npz --ledger l": "in 12 classes; the network takes (1, 8, 8) and knows 10",
    "certify {hfi} --data larger.npz --ledger l": "images of shape (1, 9, 9)",
    "certify {floats} --data digits --ledger l --clip": "--clip goes with an integer network (.hfi)",
    "predict {floats} digits:0 --clip": "--clip goes with an integer network (.hfi)",
    "bench mynets:build": "bench takes a file, .safetensors or .hfi",
    "predict {hfi} digits:0 --dtype float64": "an integer network has no --dtype",
    "compress {floats} --data digits --out net.pt": "an integer network goes into a .hfi file, not 'net.pt'",
    "compress {floats} --data digits --out there.hfi": "there.hfi is there already: choose another --out",
    "compress {hfi} --data digits --out net.hfi": "is an integer network already",
    "compress {floats} --data digits --out net.hfi --method int4": "unknown method 'int4'; known: int8",
    "compress {floats} --data digits --out net.hfi --sigma wide": "sigma must be a decimal number",
    "compress {floats} --data digits --out net.hfi --sigma -1": "sigma must be",
    "compress {floats} --data digits --out net.hfi --lr 0": "lr must be above 0",
    "compress {floats} --data larger.npz --out net.hfi": "the network takes images (1, 8, 8) (C, H, W), larger has",
    "compress {floats} --data twelve.npz --out net.hfi": "twelve has 12 classes, the network knows 10",
    "compress {floats} --data alike.npz --out net.hfi": "all calibration images are alike",
    "compress nowhere.safetensors --data digits --out net.hfi": "cannot read nowhere.safetensors",
    "inspect there.hfi": "there.hfi is damaged or no .hfi file",
    "inspect nowhere.hfi": "cannot read nowhere.hfi: No such file",
    "certify there.hfi --data digits --ledger l": "there.hfi is damaged or no .hfi file",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    command: str, integers: Path, floats: Path, holdfast: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0).integers(0, 256, (24, 1, 9, 9), dtype=np.uint8)
    np.savez("twelve.npz", images=random[:, :, :8, :8], labels=np.arange(24) % 12)
    np.savez("larger.npz", images=random, labels=np.arange(24) % 10)
    np.savez("alike.npz", images=np.zeros((24, 1, 8, 8), np.uint8), labels=np.arange(24) % 10)
    Path("there.hfi").write_text("something else")
    before = {path.name for path in tmp_path.iterdir()}
    paths = {"hfi": shlex.quote(str(integers)), "floats": shlex.quote(str(floats))}
    answer = holdfast(*shlex.split(command.format(**paths)))
    assert answer.code == 2
    assert "Traceback" not in answer.err
    (line,) = [text for text in answer.err.splitlines() if text.startswith("holdfast: ")]
    assert MISTAKES[command] in line
    assert answer.out == ""
    assert {path.name for path in tmp_path.iterdir()} == before
    assert Path("there.hfi").read_text() == "something else"


@pytest.mark.parametrize(
    "command",
    [
        "certify {hfi} --data digits --limit 2 --n 100 --ledger torchless.ledger",
        "predict {hfi} digits:0 --n 100",
        "verify-device {hfi}",
        "inspect {hfi}",
    ],
)
def test_commands_on_integer_networks_do_not_load_torch(command: str, integers: Path, tmp_path: Path) -> None:
    """Torch is most of the memory and of the start of a process that uses it."""
    program = (
        "import atexit, sys; from holdfast.cli import main; sys.argv = ['holdfast', *sys.argv[1:]];"
        "atexit.register(lambda: print('torch loaded:', 'torch' in sys.modules)); main()"
    )
    arguments = command.format(hfi=integers).split()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "torch loaded: False" in done.stdout
