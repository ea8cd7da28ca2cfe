"""Too little memory, too few threads: one line, exit code 2, and a ledger that is whole and goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child_process import importing
from native_engine import NEEDED
from process_memory import LIMITED

from holdfast import intnet
from holdfast.engine import native
from holdfast.intnet import Conv, Flatten, Input, IntegerNetwork, Requantise
from holdfast.ledger import Ledger, canonical_export

Run = Callable[..., Any]
NONCE = "c0" * 32
pytestmark = [NEEDED, LIMITED]

SHORT_OF_MEMORY = """
import sys
import holdfast.cli.app as app
import holdfast.workflows.planning, holdfast.workflows.summary
from holdfast.ledger import Ledger
from process_memory import limit_to

record, room = Ledger.record, int(sys.argv.pop(1))

def record_then_limit(*arguments):
    record(*arguments)
    limit_to(room)

Ledger.record = record_then_limit
app.keep_freed_memory = lambda: False
sys.exit(app.run())
"""
"""The command line in a process that the system gives no more than so many bytes after its first certificate."""


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, Path]:
    """A network whose activations take 39 MiB because of the zeros around them, and images for it.

    From 32 MiB on the C library never keeps what was freed, so they have to be asked for again in every call.
    """
    law = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
    weight, bias = np.array([[[[1]]], [[[-1]]]], np.int8), np.array([-40, 40], np.int32)
    padded = Conv("conv", 0, weight, bias, law, stride=(1600, 1600), padding=(1600, 1600, 1600, 1600))
    operations = [Input("input", (1, 2, 2), np.array([0], np.int32), law), padded, Flatten("flatten", 1)]
    network, images = tmp_path / "large.hfi", tmp_path / "it.npz"
    intnet.save(IntegerNetwork(operations, {"sigma": "0.1"}), network)
    pixels = np.random.default_rng(3).integers(0, 256, (3, 1, 2, 2), dtype=np.uint8)
    np.savez(images, images=pixels, labels=np.arange(3))
    return network, images


def ends_and_goes_on(arguments: list[object], room: int, said: str, holdfast: Run, folder: Path) -> None:
    """Certified until the system gives no more, then to the end: the bytes of a run that nothing disturbed."""
    ledger, undisturbed = folder / "it.ledger", folder / "undisturbed.ledger"
    given = ["certify", *arguments, "--n0", "20", "--n", "60", "--nonce", NONCE]
    ended = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, *map(str, [room, *given, "--ledger", ledger])],
        capture_output=True, text=True, timeout=300, check=False, env=importing(),
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines()[-1] == f"holdfast: native engine: {said}"
    assert "Traceback" not in ended.stderr
    with Ledger(ledger) as book:
        assert len(book.finished(book.runs()[0])) == 1
    assert holdfast("ledger", "check", ledger).code == 0
    one = [*given, "--threads", "1", "--ledger"]
    assert "continuing, 1 of 3 inputs done" in holdfast(*one, ledger).err
    assert holdfast(*one, undisturbed).code == 0
    with Ledger(ledger) as book, Ledger(undisturbed) as other:
        assert canonical_export(book) == canonical_export(other)


def test_threads_that_cannot_be_started(holdfast: Run, tmp_path: Path) -> None:
    network = next((Path(__file__).parents[2] / "studies" / "models").glob("digits-*.hfi"))
    ends_and_goes_on(
        [network, "--data", "digits", "--limit", 3, "--threads", 64],
        16 << 20, "the system gives no 64 threads; ask for fewer", holdfast, tmp_path,
    )  # fmt: skip


def test_memory_that_is_not_there(large: tuple[Path, Path], holdfast: Run, tmp_path: Path) -> None:
    network, images = large
    ends_and_goes_on(
        [network, "--data", images, "--threads", 1],
        2 << 20, "there is not enough memory for this network; fewer threads need less", holdfast, tmp_path,
    )  # fmt: skip


def test_memory_that_the_library_itself_lacks(holdfast: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(*_: Any) -> None:
        np.empty(1 << 62, np.uint8)

    monkeypatch.setattr("holdfast.data.load", load)
    answer = holdfast("certify", "net.hfi", "--data", "digits", "--ledger", tmp_path / "it.ledger")
    assert "not enough free memory" in answer.error
    assert list(tmp_path.iterdir()) == []


def test_more_threads_than_processors_warn_once(holdfast: Run, tmp_path: Path) -> None:
    network = next((Path(__file__).parents[2] / "studies" / "models").glob("digits-*.hfi"))
    cores = native.usable_cores()
    common = ["certify", network, "--data", "digits", "--limit", 2, "--n0", 20, "--n", 60, "--nonce", NONCE]
    few, many = tmp_path / "few.ledger", tmp_path / "many.ledger"
    assert "warning" not in holdfast(*common, "--threads", cores, "--ledger", few).err
    for _ in range(2):  # in one process: a warning of the first call must not silence the second
        answer = holdfast(*common, "--threads", cores + 6, "--ledger", many)
        lines = [line for line in answer.err.splitlines() if "warning" in line.lower()]
        assert lines == [
            f"warning: {cores + 6} threads were asked for, but this process may use {cores} of the machine's "
            "processors: more threads than that are no faster"
        ]
        assert answer.code == 0
    with Ledger(few) as one, Ledger(many) as other:
        assert canonical_export(one) == canonical_export(other)
