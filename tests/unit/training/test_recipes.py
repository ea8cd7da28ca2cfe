"""The papers' schedules at known moments."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from holdfast.digest import canonical_json
from holdfast.errors import ParameterError
from holdfast.training.recipes import RECIPES, Cosine, OneCycle, named


@pytest.mark.parametrize(
    ("recipe", "epoch", "lr"),
    [
        ("intrs", 0, 0.1),
        ("intrs", 29.999, 0.1),
        ("intrs", 30, 0.01),
        ("intrs", 60, 0.001),
        ("intrs", 89.9, 0.001),
        ("cohen", 30, 0.01),
        ("adre", 49.9, 0.1),
        ("adre", 50, 0.01),
        ("adre", 149, 0.001),
        ("adre-imagenet", 0, 0.0),
        ("adre-imagenet", 2, 0.1 * 2 / 8),
        ("adre-imagenet", 8, 0.1),
        ("adre-imagenet", 20, 0.05 * (1 + math.cos(math.pi * 12 / 42))),
        ("adre-imagenet", 50, 0.0),
        ("quick", 0, 0.02),
        ("quick", 6, 0.2),
        ("quick", 18, 0.1),
        ("quick", 30, 0.0),
    ],
)
def test_learning_rates(recipe: str, epoch: float, lr: float) -> None:
    assert RECIPES[recipe].lr_at(epoch) == pytest.approx(lr, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "momentum", "weight_decay", "smoothing"),
    [
        ("intrs", 90, 256, 0.9, 1e-4, 0.0),
        ("cohen", 90, 256, 0.9, 1e-4, 0.0),
        ("adre", 150, 400, 0.9, 1e-4, 0.0),
        ("adre-imagenet", 50, 256, 0.875, 1 / 32768, 0.1),
    ],
)
def test_recipes_are_the_papers(
    name: str, epochs: int, batch: int, momentum: float, weight_decay: float, smoothing: float
) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    assert (recipe.epochs, recipe.batch, recipe.momentum) == (epochs, batch, momentum)
    assert (recipe.weight_decay, recipe.label_smoothing) == (weight_decay, smoothing)


@pytest.mark.parametrize("schedule", [OneCycle(0.3, 0.0), Cosine(5.0)])
def test_rising_and_falling_schedules_stay_between_0_and_1_and_are_continuous(schedule: OneCycle | Cosine) -> None:
    factors = [schedule.factor(i / 100, 20) for i in range(2001)]
    assert all(0.0 <= f <= 1.0 for f in factors)
    assert max(abs(a - b) for a, b in pairwise(factors)) < 0.003
    assert max(factors) == pytest.approx(1.0)


def test_a_recipe_can_be_changed_by_field() -> None:
    assert named("cohen", epochs=3, flip=False) == replace(RECIPES["cohen"], epochs=3, flip=False)


def test_a_recipe_s_json_tells_its_schedule_apart() -> None:
    texts = {canonical_json(recipe.to_json()) for recipe in RECIPES.values()}
    assert len(texts) == len(RECIPES)
    assert RECIPES["adre"].to_json()["schedule"] == {"kind": "Step", "every": 50, "divisor": 10.0}


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"weight_decay": -1e-4},
        {"label_smoothing": 1.0},
        {"crop": -1},
        {"nesterov": True, "momentum": 0.0},
    ],
)
def test_fields_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        named("cohen", **change)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match="there are intrs, adre"):
        named("slow")
    with pytest.raises(ParameterError, match="no field 'optimizer'"):
        named("quick", optimizer="adam")
