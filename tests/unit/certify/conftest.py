"""Runs of a classifier that is exact and needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.certify import new_run
from holdfast.records import Run

NONCE = "5a" * 32


@pytest.fixture
def image() -> np.ndarray:
    """A grey image of 2 x 2, bright enough for class 1 of :class:`Brightness`."""
    return np.array([[[120, 130], [110, 100]]], dtype=np.uint8)


@pytest.fixture
def start() -> Callable[..., Run]:
    """Starts a run with a fixed nonce."""

    def make(classifier: Any, *, n0: int = 20, n: int = 400, alpha: str = "0.001", nonce: str | None = NONCE) -> Run:
        return new_run(classifier, data="one image", data_digest="00" * 32, n0=n0, n=n, alpha=alpha, nonce=nonce)

    return make
