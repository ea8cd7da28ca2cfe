"""The same certificates from any batch size, order, division into calls, noise sampler, and after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.ledger import Ledger, ledger_problems
from holdfast.noise import native
from holdfast.workflows import certify as work

Run = Callable[..., Any]
NONCE = "c0" * 32
INDICES = "0:120:10"


@pytest.fixture
def exported(settings: list[Any], holdfast: Run, tmp_path: Path) -> Callable[..., str]:
    """Certify the twelve inputs in calls with these options each; the canonical export of the ledger."""
    path = tmp_path / "a.ledger"

    def certify(*calls: list[Any]) -> str:
        for options in calls:
            indices = [] if "--indices" in options else ["--indices", INDICES]
            done = holdfast("certify", *settings, *indices, *options, "--nonce", NONCE, "--ledger", path)
            assert done.code == 0, done
        return holdfast("ledger", "export", path, "--canonical").out

    return certify


@pytest.fixture
def undisturbed(filled: Path, holdfast: Run) -> str:
    return holdfast("ledger", "export", filled, "--canonical").out


@pytest.mark.parametrize("batch", [100, 256, 1000, 4096])
def test_any_batch_size(batch: int, exported: Callable[..., str], undisturbed: str) -> None:
    assert exported(["--batch-size", batch]) == undisturbed


@pytest.mark.parametrize(
    "calls",
    [
        ["110,20,0,70,50,10,30,40,100,90,80,60"],
        ["60:120:10", "0:60:10"],
        ["50,110,20", "110,20,0", INDICES],
    ],
)
def test_any_order_of_inputs(calls: list[str], exported: Callable[..., str], undisturbed: str) -> None:
    assert exported(*(["--indices", indices] for indices in calls)) == undisturbed


def test_the_numpy_sampler(exported: Callable[..., str], undisturbed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the result is the same; with one, the two samplers are compared."""
    monkeypatch.setenv("HOLDFAST_NATIVE", "0")
    assert not native.available()
    assert exported([]) == undisturbed


@pytest.mark.parametrize("moment", [0, 1, 7, 42])
def test_an_interruption_anywhere(
    moment: int,
    settings: list[Any],
    holdfast: Run,
    undisturbed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while labels are computed, also in the middle of an input whose labels are kept."""
    monkeypatch.setattr(work, "_KEEP_SECONDS", -1.0)
    path, left = tmp_path / "a.ledger", moment
    command = ["certify", *settings, "--indices", INDICES, "--batch-size", 100, "--nonce", NONCE, "--ledger", path]
    label_batches = work.label_batches

    def interrupted(*arguments: Any) -> Any:
        nonlocal left
        for labels in label_batches(*arguments):
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            yield labels

    with monkeypatch.context() as patch:
        patch.setattr(work, "label_batches", interrupted)
        stopped = holdfast(*command)
    assert stopped.code == 130
    assert "run the same command again to continue" in stopped.err.splitlines()[-1]
    assert "Traceback" not in stopped.err
    with Ledger(path) as ledger:
        assert len(ledger.finished(ledger.runs()[0])) < 12
        kept = ledger.rows("SELECT count(*) FROM partial")[0][0]
    assert bool(kept) == (moment in (7, 42))
    resumed = holdfast(*command)
    assert resumed.code == 0
    assert holdfast("ledger", "export", path, "--canonical").out == undisturbed
    with Ledger(path) as ledger:
        assert list(ledger_problems(ledger)) == []
