"""Small runs and their certificates, from made-up labels; and an editor for files behind the ledger's back."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.certify import decide, new_run
from holdfast.ledger import Execution, Ledger
from holdfast.records import Certificate, Run

NONCE = "ab" * 32


@dataclass(frozen=True)
class Evidence:
    """Makes runs, labels and certificates that fit together."""

    classifier: Any
    files: dict[Any, bytes] = field(default_factory=dict)

    def run(self, n: int = 200, nonce: str = NONCE, drawn: bool = True, **changes: Any) -> Run:
        run = new_run(self.classifier, data="dots test", data_digest="d" * 64, n0=20, n=n, alpha="0.01", nonce=nonce)
        return replace(run, nonce_given=not drawn, **changes)

    def labels(self, run: Run, index: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        rng = np.random.default_rng(index)
        shares = np.roll([0.9, 0.06, 0.04], index)
        selection, estimation = (rng.choice(3, count, p=shares).astype(np.uint16) for count in (run.n0, run.n))
        return selection, estimation

    def certificate(self, run: Run, index: int) -> Certificate:
        return decide(run, index, hashlib.sha256(bytes([index])).digest(), *self.labels(run, index))

    def record(self, ledger: Ledger, run: Run, indices: Iterable[int], host: str | None = "here") -> None:
        for index in indices:
            timing = Execution(run.id, index, run.n0 + run.n, 0.5, host, "none", "2024-01-01") if host else None
            ledger.record(run, index % 3, self.certificate(run, index), *self.labels(run, index), timing)

    def ledger(self, path: Path, indices: Iterable[int], run: Run | None = None, host: str | None = "here") -> Path:
        """A file with these inputs of one run; made once and copied from then on."""
        run, indices = run or self.run(), tuple(indices)
        key = (run.id, indices, host)
        if key not in self.files:
            with Ledger(path, create=True) as ledger:
                ledger.add_run(run)
                self.record(ledger, run, indices, host)
            self.files[key] = path.read_bytes()
        path.write_bytes(self.files[key])
        return path


@pytest.fixture(scope="session")
def evidence(brightness: Callable[..., Any]) -> Evidence:
    return Evidence(brightness())


@pytest.fixture(scope="session")
def edit() -> Callable[..., int]:
    """Change a file with plain SQLite; returns the number of rows changed."""

    def change(path: Path, statement: str, *values: Any) -> int:
        connection = sqlite3.connect(path)
        with connection:
            changed = connection.execute(statement, values).rowcount
        connection.close()
        return changed

    return change
