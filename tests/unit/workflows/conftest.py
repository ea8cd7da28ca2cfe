"""A data set of plain squares whose class is their brightness, a classifier that sees just that, and runs on both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.data import DataSet
from holdfast.ledger import Ledger, canonical_export
from holdfast.records import Run
from holdfast.workflows import certify as work
from holdfast.workflows import verify

NONCE = "5e" * 32
LEVELS = (20, 45, 60, 68, 75, 82, 110, 140, 150, 158, 200, 250)
"""Grey levels of the images. The classes change at 75 and 150, where nothing can be certified."""


@dataclass(frozen=True)
class Squares:
    """Runs of a fixed key on the squares."""

    data: DataSet
    make: Callable[..., Any]

    def classifier(self, **settings: Any) -> Any:
        return self.make(20, **settings)

    def open(self, ledger: Ledger, classifier: Any = None, **changes: Any) -> Run:
        settings = {"n0": 20, "n": 300, "alpha": "0.001", "nonce": NONCE} | changes
        return work.open_run(ledger, classifier or self.classifier(), self.data, **settings)

    def certify(self, path: Path, indices: Any = None, **settings: Any) -> Run:
        """A ledger with certificates of these inputs, or of all."""
        with Ledger(path, create=True) as ledger:
            run = self.open(ledger)
            chosen = range(len(self.data)) if indices is None else indices
            work.certify_inputs(ledger, run, self.classifier(), self.data, chosen, **settings)
        return run

    def claims(self, path: Path) -> list[verify.Finding]:
        """What a verifier finds without the network."""
        with Ledger(path) as ledger:
            return list(verify.check_claims(ledger))

    def computed(self, path: Path, classifier: Any = None, replay: int = 6000, fresh: int = 0) -> list[verify.Finding]:
        """What a verifier finds with it."""
        with Ledger(path) as ledger:
            return list(
                verify.check_by_computing(
                    ledger, ledger.runs(), lambda _: classifier or self.classifier(), self.data,
                    replay_samples=replay, fresh_samples=fresh,
                )
            )  # fmt: skip

    def exported(self, path: Path) -> bytes:
        with Ledger(path) as ledger:
            return canonical_export(ledger)


@pytest.fixture(scope="session")
def squares(brightness: Callable[..., Any]) -> Squares:
    images = np.array(LEVELS, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
    images[:, 0, 0, 0] += np.arange(len(LEVELS), dtype=np.uint8) % 2  # no two alike, sums on both sides of a border
    labels = np.searchsorted([75, 150], LEVELS, side="right").astype(np.int64)
    return Squares(DataSet("squares", "test", images, labels, ("dark", "grey", "light")), brightness)


@pytest.fixture(scope="session")
def whole(squares: Squares, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path, bytes]:
    """An undisturbed run over everything: the run, its ledger (not to be changed), and its canonical export."""
    path = tmp_path_factory.mktemp("whole") / "whole.ledger"
    run = squares.certify(path)
    return run, path, squares.exported(path)


@pytest.fixture
def copied(whole: tuple[Run, Path, bytes], tmp_path: Path) -> Path:
    """A copy of the undisturbed run's ledger, to be tampered with."""
    path = tmp_path / "copy.ledger"
    path.write_bytes(whole[1].read_bytes())
    return path


@pytest.fixture
def change(copied: Path) -> Callable[..., None]:
    """Change the copied ledger with plain SQL."""

    def run(statement: str, *values: Any) -> None:
        with Ledger(copied) as ledger:
            ledger._db.execute("PRAGMA foreign_keys=OFF")
            assert ledger._db.execute(statement, values).rowcount > 0

    return run


@pytest.fixture
def fixed_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's own key and choice of samples: a failure here is a finding, not chance."""
    monkeypatch.setattr(verify.os, "urandom", lambda count: hashlib.sha256(b"verifier").digest()[:count])
    monkeypatch.setattr(np.random, "default_rng", lambda default=np.random.default_rng: default(20240229))
