"""How long, how fast, how much: training schedules as small frozen values, and the papers' under their names."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from holdfast.errors import ParameterError

__all__ = ["RECIPES", "Cosine", "OneCycle", "Recipe", "Schedule", "Step", "named"]


@dataclass(frozen=True, slots=True)
class Step:
    """Divide the rate by ``divisor`` after every ``every`` epochs."""

    every: int
    divisor: float = 10.0

    def factor(self, epoch: float, epochs: int) -> float:
        """Share of the peak rate at a moment.

        Args:
            epoch: epochs done, fractions included, from 0 (included) to ``epochs`` (excluded).
            epochs: of the whole training.

        Example:
            >>> [Step(30).factor(e, 90) for e in (0, 29.9, 30, 60)]
            [1.0, 1.0, 0.1, 0.01]
        """
        return 1.0 / self.divisor ** int(epoch // self.every)


@dataclass(frozen=True, slots=True)
class Cosine:
    """Linear from 0 over ``warmup`` epochs, then half a cosine down to 0 at the end."""

    warmup: float = 0.0

    def factor(self, epoch: float, epochs: int) -> float:
        """As :meth:`Step.factor`.

        Example:
            >>> [round(Cosine(8).factor(e, 50), 3) for e in (0, 4, 8, 29, 49.99)]
            [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if epoch < self.warmup:
            return epoch / self.warmup
        return 0.5 * (1.0 + math.cos(math.pi * (epoch - self.warmup) / (epochs - self.warmup)))


@dataclass(frozen=True, slots=True)
class OneCycle:
    """Linear from ``start`` of the peak to the peak over a share of the training, then linear to 0."""

    rise: float = 0.2
    start: float = 0.1

    def factor(self, epoch: float, epochs: int) -> float:
        """As :meth:`Step.factor`.

        Example:
            >>> [round(OneCycle(0.2, 0.1).factor(e, 10), 3) for e in (0, 1, 2, 6)]
            [0.1, 0.55, 1.0, 0.5]
        """
        peak = self.rise * epochs
        if epoch < peak:
            return self.start + (1.0 - self.start) * epoch / peak
        return (epochs - epoch) / (epochs - peak)


Schedule = Step | Cosine | OneCycle
_RANGES: dict[str, tuple[int, float]] = {
    "epochs": (1, math.inf),
    "batch": (1, math.inf),
    "momentum": (0, 1),
    "weight_decay": (0, math.inf),
    "label_smoothing": (0, 1),
    "crop": (0, math.inf),
}
"""What a field of a recipe must be at least, and below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training schedule: stochastic gradient descent with momentum, and what is done to the images.

    Attributes:
        name: where it comes from.
        epochs: passes over the training images.
        batch: images per step.
        lr: peak learning rate.
        schedule: what becomes of the rate.
        momentum: of SGD.
        nesterov: look ahead.
        weight_decay: L2 coefficient, on all parameters.
        label_smoothing: share of the label spread evenly over the classes.
        crop: shift images by up to this many pixels each way, at random, with reflected padding; 0 is off.
        flip: mirror half of the images left to right. Not for digits and text.

    Raises:
        ParameterError: a field is out of its range.
    """

    name: str
    epochs: int
    batch: int
    lr: float
    schedule: Schedule
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    crop: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        for field, (low, end) in _RANGES.items():
            if not low <= (value := getattr(self, field)) < end:
                below = "" if end == math.inf else f" and below {end}"
                raise ParameterError(f"{field} must be at least {low}{below}, not {value}")
        if not 0 < self.lr < math.inf:
            raise ParameterError(f"lr must be above 0 and finite, not {self.lr}")
        if self.nesterov and self.momentum == 0:
            raise ParameterError("nesterov needs a momentum above 0")

    def lr_at(self, epoch: float) -> float:
        """Learning rate after ``epoch`` epochs, fractions included.

        Example:
            >>> [round(RECIPES["intrs"].lr_at(e), 6) for e in (0, 30, 60)]
            [0.1, 0.01, 0.001]
        """
        return self.lr * self.schedule.factor(epoch, self.epochs)

    def to_json(self) -> dict[str, Any]:
        """Every field, the schedule's kind included, as JSON values."""
        return asdict(self) | {"schedule": {"kind": type(self.schedule).__name__, **asdict(self.schedule)}}


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="intrs", epochs=90, batch=256, lr=0.1, schedule=Step(30)),
        Recipe(name="adre", epochs=150, batch=400, lr=0.1, schedule=Step(50)),
        Recipe(
            name="adre-imagenet",
            epochs=50,
            batch=256,
            lr=0.1,
            schedule=Cosine(warmup=8),
            momentum=0.875,
            weight_decay=1 / 32768,
            label_smoothing=0.1,
        ),
        Recipe(name="cohen", epochs=90, batch=256, lr=0.1, schedule=Step(30)),
        Recipe(name="quick", epochs=30, batch=128, lr=0.2, schedule=OneCycle(), nesterov=True, weight_decay=5e-4),
        Recipe(name="qat", epochs=4, batch=128, lr=0.001, schedule=Cosine(), weight_decay=0.0),
    )
}
"""Recipes by name.

- ``intrs``: integer-arithmetic-only certified robustness (CIFAR-10): 90 epochs, batch 256, 0.1 divided by 10 every 30.
- ``adre``: certified robustness by transductive ADRE (CIFAR-10): 150 epochs, batch 400, 0.1 divided by 10 every 50.
- ``adre-imagenet``: its ImageNet recipe: 50 epochs, ``0.1 * epoch / 8`` for 8 epochs, then
  ``0.05 * (1 + cos(pi * (epoch - 8) / 42))``, momentum 0.875, weight decay 1/32768, label smoothing 0.1.
- ``cohen``: Cohen, Rosenfeld, Kolter 2019 (CIFAR-10): 90 epochs, batch 256, 0.1 divided by 10 every 30, momentum 0.9,
  weight decay 1e-4. Momentum and weight decay that the first two papers do not state are taken from here.
- ``quick``: few epochs on a CPU: rate linear up and linear to zero, Nesterov momentum, weight decay 5e-4.
- ``qat``: further training of a trained network with quantised numbers: half a cosine from 0.001 down to 0.
"""


def named(name: str, **changes: Any) -> Recipe:
    """A recipe by name, with some fields changed.

    Raises:
        ParameterError: no such recipe or field.

    Example:
        >>> named("quick", epochs=5).epochs
        5
    """
    if name not in RECIPES:
        raise ParameterError(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}")
    unknown = [key for key in changes if key not in Recipe.__slots__]
    if unknown:
        raise ParameterError(f"a recipe has no field {unknown[0]!r}; it has {', '.join(Recipe.__slots__)}")
    return replace(RECIPES[name], **changes)
