"""Killed at twenty random moments, a certification ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.ledger import Ledger, canonical_export, ledger_problems
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Preprocessing

KILLS, INPUTS = 20, 40
NONCE = "5a" * 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: kills do not care."""
    path = tmp_path_factory.mktemp("crash") / "mlp.safetensors"
    spec = ModelSpec("mlp", 10, (1, 8, 8), Preprocessing((0.3,), (0.4,)), {"widths": [64]})
    checkpoint.save(path, build(spec, seed=1), spec, {"sigma": "0.25", "data": "digits"})
    return path


def arguments(model: Path, ledger: Path, n: int = 10_000) -> list[str]:
    given = f"--data digits --limit {INPUTS} --n {n} --batch-size 256 --threads 1 --nonce {NONCE}"
    return ["certify", str(model), "--ledger", str(ledger), *given.split()]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def finish(model: Path, ledger: Path, n: int = 10_000) -> bytes:
    """Run to the end; the canonical export of a clean ledger."""
    command = [sys.executable, "-m", "holdfast", *arguments(model, ledger, n)]
    subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=300)
    with Ledger(ledger) as book:
        assert list(ledger_problems(book)) == []
        return canonical_export(book)


def test_twenty_kills_change_nothing(model: Path, tmp_path: Path) -> None:
    source = random.Random(20)
    moments = [(source.randrange(40), round(source.uniform(0.0, 0.005), 4)) for _ in range(KILLS)]
    driver, result, ledger = (
        Path(__file__).with_name("kill_driver.py"),
        tmp_path / "seen.json",
        tmp_path / "killed.ledger",
    )
    command = [sys.executable, str(driver), json.dumps(moments), str(result), *arguments(model, ledger)]
    subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=300)
    seen = json.loads(result.read_text())
    assert [end["signal"] for end in seen] == [signal.SIGKILL] * KILLS
    assert seen[-1]["certificates"] < INPUTS, "the last kill came after the work was done"
    assert any(end["partial"] for end in seen), "no kill fell into the middle of an input"
    assert finish(model, ledger) == finish(model, tmp_path / "undisturbed.ledger")


def test_control_c_ends_within_two_seconds_and_says_how_to_go_on(model: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "interrupted.ledger"
    command = [sys.executable, "-m", "holdfast", *arguments(model, ledger, n=5000)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("run "):
            assert line, "the command ended before it started to work"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest = process.communicate(timeout=30)[1]
        seconds = time.monotonic() - began
    assert process.returncode == 130
    assert "run the same command again to continue" in rest
    assert "Traceback" not in rest
    assert seconds < 2
    with Ledger(ledger) as book:
        assert len(book.finished(book.runs()[0])) < INPUTS
    assert finish(model, ledger, n=5000) == finish(model, tmp_path / "undisturbed.ledger", n=5000)
