"""What a report is about: runs with their results, published results beside them, and their certified accuracy."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from holdfast.records import ABSTAIN, Certificate, ImportedRun, Run
from holdfast.report.cost import Cost
from holdfast.report.examples import Example
from holdfast.report.timings import Timing
from holdfast.rounding import cut_text, squared_px_down, truncated_text
from holdfast.stats import Result, average_certified_radius

__all__ = ["GUARANTEE", "NO_GUARANTEE", "ImportedReport", "Measured", "RunReport", "curve_names", "percent_text"]

GUARANTEE = (
    "For each input separately, with probability at least 1 - alpha over this run's noise, no false certificate is issued: "
    "where one is, the smoothed classifier gives the certified label for every image of whole grey levels at Euclidean "
    "distance at most the radius. "
    "The radius lives in the space of the pixel array, in [0, 1] image units, and is shown rounded down."
)
NO_GUARANTEE = (
    "It says nothing about the network without smoothing, about perturbations larger than the radius or of another kind, "
    "about images that are not whole grey levels, or about all inputs holding at once."
)


class Measured(Protocol):
    """What a curve is drawn from. Shares are of all inputs, exact, at a radius in [0, 1] image units."""

    @property
    def name(self) -> str:
        """What a legend calls it."""

    @property
    def source(self) -> str:
        """Name of the file it is from."""

    @property
    def published(self) -> bool:
        """Imported: measured elsewhere, and not to be re-checked here."""

    @property
    def total(self) -> int:
        """Inputs."""

    @property
    def abstained(self) -> int:
        """Inputs without a certificate."""

    def certified_accuracy(self, radius: Fraction) -> Fraction:
        """Share that is correct and certified at the radius."""

    def certified_percentage(self, radius: Fraction) -> Fraction:
        """Share that is certified at the radius, right or wrong."""

    def accuracy_among_certified(self, radius: Fraction) -> Fraction:
        """Correct and certified at the radius, divided by the inputs that did not abstain."""

    def average_radius(self) -> str:
        """Average certified radius, cut."""

    def curve(self) -> list[tuple[float, float]]:
        """Corners of certified accuracy against radius."""


@dataclass(frozen=True)
class RunReport:
    """A run and its certificates, each with its input's true label, by index; and what else is known about them.

    Attributes:
        run: the run.
        results: true label and certificate of each input.
        source: name of the ledger's file.
        export_digest: hex SHA-256 of that ledger's canonical export, where it was computed.
        timings: what was computed where, as far as it was recorded.
        classes: names of the classes, as far as known.
        images: pictures by index, as far as the data set was found: uint8 (C, H, W).
        images_note: why pictures are missing; empty where none are.
        examples: noisy copies of an input, with their recorded labels.
        cost: bytes and multiplications of the network, where it was given.
    """

    run: Run
    results: tuple[tuple[int, Certificate], ...]
    source: str = ""
    export_digest: str = ""
    timings: tuple[Timing, ...] = ()
    classes: tuple[str, ...] = ()
    images: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    images_note: str = ""
    examples: tuple[Example, ...] = ()
    cost: Cost | None = None

    @property
    def name(self) -> str:
        """What a legend calls it."""
        mark = "" if self.run.exact else " (float noise, not exact)"
        return f"{self.run.data}, sigma {self.run.sigma}, n = {self.run.n}{mark}"

    @property
    def published(self) -> bool:
        """False: it has its evidence with it."""
        return False

    @property
    def total(self) -> int:
        """Inputs."""
        return len(self.results)

    @property
    def triples(self) -> Sequence[Result]:
        """``(true label, prediction, radius_sq_px)`` for the metrics."""
        return [(label, c.prediction, c.radius_sq_px) for label, c in self.results]

    @property
    def abstained(self) -> int:
        """Inputs without a certificate."""
        return self.total - len(self._certified)

    @cached_property
    def _certified(self) -> list[int]:
        return sorted(c.radius_sq_px for _, c in self.results if not c.abstained)

    @cached_property
    def _right(self) -> list[int]:
        return sorted(c.radius_sq_px for label, c in self.results if c.prediction == label)

    def certified_accuracy(self, radius: Fraction) -> Fraction:
        """:func:`holdfast.stats.certified_accuracy`, from sorted radii: quick at many radii."""
        return _share_from(self._right, squared_px_down(radius), self.total)

    def certified_percentage(self, radius: Fraction) -> Fraction:
        """:func:`holdfast.stats.certified_percentage`."""
        return _share_from(self._certified, squared_px_down(radius), self.total)

    def accuracy_among_certified(self, radius: Fraction) -> Fraction:
        """:func:`holdfast.stats.accuracy_among_certified`."""
        return _share_from(self._right, squared_px_down(radius), len(self._certified))

    def average_radius(self) -> str:
        """Average certified radius, cut after four decimals."""
        return cut_text(average_certified_radius(self.triples))

    def headline(self) -> list[tuple[str, str]]:
        """Facts and figures, name and text; fractions are cut, never rounded up."""
        run = self.run
        return [
            ("data", run.data),
            ("inputs certified / abstained", f"{self.total - self.abstained} / {self.abstained}"),
            ("noise", f"{run.noise}, sigma {run.sigma}"),
            ("samples", f"n0 = {run.n0}, n = {run.n}"),
            ("alpha", run.alpha),
            ("certified accuracy at radius 0", percent_text(self.certified_accuracy(Fraction(0)))),
            ("average certified radius", self.average_radius()),
            ("theorem", run.theorem),
        ]

    def curve(self) -> list[tuple[float, float]]:
        """Corners of certified accuracy against radius: a step function that falls at each correct input's radius."""
        return _steps(sorted(c.radius for label, c in self.results if c.prediction == label), self.total)


@dataclass(frozen=True)
class ImportedReport:
    """Published results, as they were printed: radii are neither cut nor re-checked."""

    imported: ImportedRun
    source: str = ""

    @property
    def name(self) -> str:
        """What a legend calls it, and that it is imported."""
        return f"{self.imported.name} (imported, not re-checkable)"

    @property
    def published(self) -> bool:
        """True."""
        return True

    @property
    def total(self) -> int:
        """Inputs."""
        return len(self.imported.results)

    @property
    def abstained(self) -> int:
        """Inputs without a certificate."""
        return self.total - len(self._certified)

    @cached_property
    def _certified(self) -> list[Fraction]:
        return sorted(Fraction(r.radius) for r in self.imported.results if r.prediction != ABSTAIN)

    @cached_property
    def _right(self) -> list[Fraction]:
        results = self.imported.results
        return sorted(Fraction(r.radius) for r in results if r.prediction == r.label)

    def certified_accuracy(self, radius: Fraction) -> Fraction:
        """Share that is correct with a printed radius of at least this."""
        return _share_from(self._right, radius, self.total)

    def certified_percentage(self, radius: Fraction) -> Fraction:
        """Share with a printed radius of at least this."""
        return _share_from(self._certified, radius, self.total)

    def accuracy_among_certified(self, radius: Fraction) -> Fraction:
        """Correct with a printed radius of at least this, divided by the inputs that did not abstain."""
        return _share_from(self._right, radius, len(self._certified))

    def average_radius(self) -> str:
        """Mean of the printed radii, 0 where wrong or abstained, cut after four decimals."""
        return truncated_text(sum(self._right, Fraction(0)) / max(self.total, 1), 4)

    def curve(self) -> list[tuple[float, float]]:
        """Corners of certified accuracy against the printed radius."""
        return _steps([float(radius) for radius in self._right], self.total)


def curve_names(curves: Sequence[Measured]) -> list[str]:
    """A name for each curve, by which it can be told from the others."""
    names = [curve.name for curve in curves]
    if len(set(names)) == len(names):
        return names
    longer = [f"{n}, run {c.run.id[:8]}" if isinstance(c, RunReport) else n for n, c in zip(names, curves, strict=True)]
    if len(set(longer)) == len(longer):
        return longer
    return [f"{name}, {curve.source}" for name, curve in zip(longer, curves, strict=True)]


def percent_text(share: Fraction) -> str:
    """Percent with two decimals, cut.

    Example:
        >>> percent_text(Fraction(2, 3))
        '66.66 %'
    """
    return f"{truncated_text(share * 100, 2)} %"


def _share_from(limits: Sequence[Any], needed: int | Fraction, total: int) -> Fraction:
    """Share of ``total`` whose limits, which are sorted, are at least what is needed."""
    return Fraction(len(limits) - bisect_left(limits, needed), total) if total else Fraction(0)


def _steps(radii: Sequence[float], total: int) -> list[tuple[float, float]]:
    corners = [(0.0, len(radii) / total if total else 0.0)]
    for done, radius in enumerate(radii, 1):
        corners += [(radius, corners[-1][1]), (radius, (len(radii) - done) / total)]
    return corners
