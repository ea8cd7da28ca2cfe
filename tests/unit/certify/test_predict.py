"""PREDICT: the top class or abstention, with a fresh secret key."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certify import Prediction, decide_prediction, predict
from holdfast.digest import array_digest
from holdfast.errors import ImpossibleRequest, ParameterError
from holdfast.records import ABSTAIN, Address, Purpose
from holdfast.stats import critical_count

Make = Callable[..., Any]
PERMILLE, KEY = Fraction(1, 1000), b"\x5a" * 32


@pytest.mark.parametrize(
    ("counts", "label", "needed"),
    [
        ((553, 447, 0), 0, 553), ((552, 448, 0), ABSTAIN, 553), ((0, 447, 553), 2, 553), ((11,), 0, 11),
        ((10,), ABSTAIN, 11), ((0, 0, 0), ABSTAIN, 1), ((500, 500), ABSTAIN, 553), ((11, 0, 0), 0, 11),
        ((40, 5, 5), 0, 34), ((67, 33), 0, 67), ((66, 34), ABSTAIN, 67),
    ],
)  # fmt: skip
def test_by_hand(counts: tuple[int, ...], label: int, needed: int) -> None:
    assert decide_prediction(counts, PERMILLE) == Prediction(label, counts, needed)
    assert decide_prediction(counts, PERMILLE).abstained == (label == ABSTAIN)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.sampled_from(["0.001", "0.05", "0.25", "0.49"]))
def test_it_names_the_top_class_or_nothing(counts: list[int], alpha: str) -> None:
    found = decide_prediction(tuple(counts), Fraction(alpha))
    first, second = [*sorted(counts, reverse=True), 0][:2]
    assert found.needed == critical_count(first + second, Fraction(alpha))
    assert found.label in (ABSTAIN, counts.index(max(counts)))
    assert (found.label == ABSTAIN) == (first < found.needed)
    assert found.label == ABSTAIN or first > second


def test_third_classes_neither_help_nor_harm() -> None:
    """Only the two top classes are compared (Hung and Fithian)."""
    assert decide_prediction((67, 33, 30, 30), PERMILLE).label == 0
    assert decide_prediction((66, 34, 0, 0), PERMILLE).label == ABSTAIN


@pytest.mark.parametrize("batch", [1, 100, 256, 777, 1024])
def test_the_answer_is_the_vote_at_the_given_key(batch: int, brightness: Make, image: np.ndarray) -> None:
    classifier = brightness(60)
    address = Address(KEY, array_digest(image), Purpose.PREDICT)
    counts = np.bincount(classifier.labels(image, address, 0, 300), minlength=3)
    found = predict(classifier, image, 300, PERMILLE, key=KEY, batch=batch)
    assert found.counts == tuple(counts.tolist())
    assert found.label == 1


def test_every_query_draws_its_own_secret(brightness: Make, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = brightness(100)
    assert len({predict(classifier, image, 1000, PERMILLE).counts for _ in range(5)}) > 1
    monkeypatch.setattr("os.urandom", lambda size: KEY[:size])
    assert predict(classifier, image, 300, PERMILLE) == predict(classifier, image, 300, PERMILLE, key=KEY)


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes, brightness: Make, image: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="32 bytes"):
        predict(brightness(), image, 100, PERMILLE, key=key)


@pytest.mark.parametrize(("alpha", "needed"), [("0.001", 11), ("0.05", 6), ("0.25", 3), ("0.49", 3)])
def test_too_few_samples_are_refused_with_the_number_needed(
    alpha: str, needed: int, brightness: Make, image: np.ndarray
) -> None:
    """2 * 2^-n <= alpha."""
    level = Fraction(alpha)
    assert 2 <= level * 2**needed < 4
    predict(brightness(), image, needed, level)
    for n in {1, needed - 1}:
        with pytest.raises(ImpossibleRequest, match=f"n={n} is too small .* n must be at least {needed}$"):
            predict(brightness(), image, n, level)


@pytest.mark.parametrize("n", [0, -1])
def test_a_vote_of_nobody_is_refused(n: int, brightness: Make, image: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="n must be at least 1"):
        predict(brightness(), image, n, PERMILLE)


@pytest.mark.parametrize("alpha", [0.001, "0.001", float("nan"), Fraction(0), Fraction(1, 2), None])
def test_failure_probabilities_that_are_not_exact_or_out_of_range_are_refused(
    alpha: Any, brightness: Make, image: np.ndarray
) -> None:
    with pytest.raises(ParameterError, match="alpha"):
        predict(brightness(), image, 100, alpha)


@pytest.mark.parametrize("bad", [np.zeros((1, 2, 2)), np.zeros((2, 2), dtype=np.uint8), "image", None])
def test_unsuitable_images_are_refused(bad: Any, brightness: Make) -> None:
    with pytest.raises(ParameterError, match="image"):
        predict(brightness(), bad, 100, PERMILLE)
