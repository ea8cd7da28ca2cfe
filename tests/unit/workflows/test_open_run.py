"""Choosing the run: equal parameters resume it, others are another run, and unusable ones leave no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import LedgerError, ParameterError, RunMismatch
from holdfast.ledger import Ledger, canonical_export


def test_the_same_parameters_resume_the_same_run(squares: Any, tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        first = squares.open(ledger, nonce=None)
        assert squares.open(ledger, nonce=None) == first
        assert squares.open(ledger, nonce=None, resume=first.id[:6]) == first
        assert not first.nonce_given
        fresh = squares.open(ledger, nonce=None, fresh=True)
        assert fresh.nonce != first.nonce
        assert squares.open(ledger, nonce=None) == fresh
        assert ledger.runs() == [first, fresh]


def test_another_n_is_another_run_and_a_given_nonce_is_marked(squares: Any, tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        first = squares.open(ledger, nonce=None)
        longer = squares.open(ledger, nonce=None, n=400)
        assert first.run_key != longer.run_key
        replayed = squares.open(ledger)
        assert replayed.nonce_given
        assert len(ledger.runs()) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n": 600}, "n is 300, not 600"),
        ({"n0": 30}, "n0 is 20, not 30"),
        ({"alpha": "0.01"}, "alpha is '0.001', not '0.01'"),
    ],
)
def test_a_run_cannot_be_resumed_with_other_parameters(
    changes: dict[str, Any], said: str, squares: Any, tmp_path: Path
) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        run = squares.open(ledger, nonce=None)
        before = canonical_export(ledger)
        with pytest.raises(RunMismatch, match=said):
            squares.open(ledger, nonce=None, resume=run.id, **changes)
        with pytest.raises(RunMismatch, match="start another one"):
            squares.open(ledger, nonce=run.nonce, **changes)
        with pytest.raises(RunMismatch, match="fingerprint is"):
            squares.open(ledger, squares.classifier(thresholds=(1, 2)), nonce=None, resume=run.id)
        with pytest.raises(LedgerError, match="no run 'ffffffffffffffffff'"):
            squares.open(ledger, nonce=None, resume="f" * 18)
        assert canonical_export(ledger) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 10}, "n=10 is smaller than n0=20"),
        ({"n0": 5, "n": 9}, "n must be at least 10"),
        ({"n0": 0}, "n0 must be at least 1"),
        ({"alpha": "0.5"}, "alpha must lie between"),
        ({"alpha": "much"}, "alpha must be a decimal number"),
        ({"nonce": "abc"}, "64 hexadecimal digits"),
        ({"n": 1 << 25}, "at most 16777216 labels are kept"),
    ],
)
def test_unusable_parameters_leave_no_run(changes: dict[str, Any], message: str, squares: Any, tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        with pytest.raises(ParameterError, match=message):
            squares.open(ledger, **changes)
        assert ledger.runs() == []


@pytest.mark.parametrize("wrong", [{"thresholds": (300,)}, {"shape": (1, 2, 3)}])
def test_data_that_do_not_fit_the_network_are_refused(wrong: dict[str, Any], squares: Any, tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger, pytest.raises(ParameterError, match="the network takes"):
        squares.open(ledger, squares.classifier(**wrong))
