"""What a report is about: a run with its results, and the certified-accuracy curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from holdfast.records import Certificate, Run
from holdfast.rounding import decimal_text
from holdfast.stats import Result, average_certified_radius, certified_accuracy, certified_percentage, smoothed_accuracy

__all__ = ["GUARANTEE", "NO_GUARANTEE", "RunReport"]

GUARANTEE = (
    "With probability at least 1 - alpha over this run's noise, for each certified input separately: the smoothed "
    "classifier gives the certified label for every image of whole grey levels at Euclidean distance at most the radius. "
    "The radius lives in the space of the pixel array, in [0, 1] image units, and is shown rounded down."
)
NO_GUARANTEE = (
    "It says nothing about the network without smoothing, about perturbations larger than the radius or of another kind, "
    "about images that are not whole grey levels, or about all inputs holding at once."
)


@dataclass(frozen=True)
class RunReport:
    """A run and its certificates, each with its input's true label, by index."""

    run: Run
    results: tuple[tuple[int, Certificate], ...]

    @property
    def triples(self) -> Sequence[Result]:
        """``(true label, prediction, radius_sq_px)`` for the metrics."""
        return [(label, c.prediction, c.radius_sq_px) for label, c in self.results]

    @property
    def abstained(self) -> int:
        """Inputs without a certificate."""
        return sum(c.abstained for _, c in self.results)

    def headline(self) -> list[tuple[str, str]]:
        """Facts and figures, name and text; fractions are cut, never rounded up."""
        run, triples = self.run, self.triples
        return [
            ("data", run.data),
            ("inputs certified / abstained", f"{len(self.results) - self.abstained} / {self.abstained}"),
            ("noise", f"{run.noise}, sigma {run.sigma}"),
            ("samples", f"n0 = {run.n0}, n = {run.n}"),
            ("alpha", run.alpha),
            ("certified accuracy at radius 0", _percent(smoothed_accuracy(triples))),
            ("average certified radius", f"{math.floor(average_certified_radius(triples) * 1e4) / 1e4:.4f}"),
            ("theorem", run.theorem),
        ]

    def table(self) -> list[tuple[str, str, str]]:
        """Radius, certified accuracy and certified percentage at multiples of sigma / 4 until nothing is certified."""
        rows = []
        for step in range(40):
            radius = Fraction(self.run.sigma) * step / 4
            accuracy, certified = certified_accuracy(self.triples, radius), certified_percentage(self.triples, radius)
            rows.append((decimal_text(radius), _percent(accuracy), _percent(certified)))
            if certified == 0:
                break
        return rows

    def curve(self) -> list[tuple[float, float]]:
        """Corners of certified accuracy against radius: a step function that falls at each correct input's radius."""
        total = len(self.results)
        radii = sorted(c.radius for label, c in self.results if c.prediction == label)
        corners = [(0.0, len(radii) / total if total else 0.0)]
        for done, radius in enumerate(radii, 1):
            corners += [(radius, corners[-1][1]), (radius, (len(radii) - done) / total)]
        return corners


def _percent(share: Fraction) -> str:
    """Percent with one decimal, cut."""
    return f"{math.floor(share * 1000) / 10:.1f} %"
