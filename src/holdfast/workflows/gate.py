"""``holdfast gate``: whether a run shows what is demanded of it, by limits that hold with 95 %.

One rule: a demand is about the source of the inputs, of which those that were certified are a sample. It is *shown* when
the one-sided 95 % limit is on the right side of the threshold, *refuted* when the opposite limit is on the wrong side,
and *not shown* otherwise. The rule is the same when a run covers a whole test set, for that is a sample too.

The gate passes when every demand is shown. If any of them is false, that one is shown with probability at most 5 %, so
the gate passes wrongly with at most that, however many demands there are: nothing has to be divided by their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from holdfast.errors import ParameterError
from holdfast.ledger import Ledger
from holdfast.report.comparison import down_text
from holdfast.rounding import decimal_text, exact_decimal
from holdfast.stats import (
    Interval,
    PairedCounts,
    clopper_pearson_lower_down,
    clopper_pearson_upper_up,
    difference_upper_up,
)
from holdfast.workflows.contenders import Contender, contender, contenders_of, matched, split_name
from holdfast.workflows.exchange import single_run

__all__ = ["LEVEL", "Demand", "GateResult", "Judgement", "gate", "parse_demand"]

LEVEL = Fraction(1, 20)
"""Failure probability of each one-sided limit."""
_MOST_INPUTS = 10**9


@dataclass(frozen=True, slots=True)
class Demand:
    """A share, and the radius at which it is meant; None stands for the default radii.

    Example:
        >>> parse_demand("0.45@0.25", "--min-certified-accuracy")
        Demand(share=Fraction(9, 20), radius=Fraction(1, 4))
    """

    share: Fraction
    radius: Fraction | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one demand.

    Attributes:
        demand: in words.
        verdict: ``shown``, ``not shown`` or ``refuted``.
        measured: on these inputs, exact.
        counts: what was counted, in words.
        interval: from the lower to the upper 95 % limit; either end alone decides.
        inputs_needed: about how many inputs would decide it if the shares stayed as measured; None when it is decided,
            or no number would.
    """

    demand: str
    verdict: str
    measured: Fraction
    counts: str
    interval: Interval
    inputs_needed: int | None

    def text(self) -> str:
        """One line."""
        line = (
            f"{self.verdict.upper()}: {self.demand}; measured {down_text(self.measured)} ({self.counts}), "
            f"95 % limits {self.interval.text()}"
        )
        if self.verdict != "not shown":
            return line
        if self.inputs_needed is None:
            return f"{line}; the measured value is too close to the threshold for any number of inputs to decide"
        return f"{line}; about {self.inputs_needed:,} inputs would decide it if the measured value stayed"


@dataclass(frozen=True, slots=True)
class GateResult:
    """A run and the judgement of each demand."""

    run: Contender
    against: Contender | None
    judgements: tuple[Judgement, ...]

    @property
    def passed(self) -> bool:
        """Whether every demand is shown."""
        return all(j.verdict == "shown" for j in self.judgements)


def parse_demand(text: str, option: str) -> Demand:
    """``SHARE@RADIUS``, or ``SHARE`` alone.

    Raises:
        ParameterError: a part is no number, or the share is outside [0, 1).
    """
    share_text, at, radius_text = text.partition("@")
    share = exact_decimal(share_text, f"the share of {option} {text}")
    radius = exact_decimal(radius_text, f"the radius of {option} {text}") if at else None
    if not 0 <= share < 1:
        raise ParameterError(f"{option} {text}: a share lies between 0 and 1; 1 itself cannot be shown from a sample")
    if radius is not None and radius < 0:
        raise ParameterError(f"{option} {text}: a radius cannot be negative")
    return Demand(share, radius)


def gate(
    path: Path,
    *,
    run: str | None = None,
    least: Sequence[str] = (),
    drops: Sequence[str] = (),
    against: str | None = None,
) -> GateResult:
    """Judge a run.

    Args:
        path: the ledger.
        run: which run; may be left out where there is only one.
        least: demands ``SHARE@RADIUS`` that certified accuracy is at least this.
        drops: demands ``SHARE`` or ``SHARE@RADIUS`` that certified accuracy has dropped by at most this.
        against: what it may have dropped from: a run of this ledger, ``LEDGER`` or ``LEDGER:RUN``.

    Raises:
        ParameterError: no demand, one that can never be shown, or nothing to compare with.
        LedgerError: a ledger cannot be read, or there is no such run.
    """
    minima = [parse_demand(text, "--min-certified-accuracy") for text in least]
    limits = [parse_demand(text, "--max-drop") for text in drops]
    if not minima and not limits:
        raise ParameterError(
            "nothing is demanded: give --min-certified-accuracy SHARE@RADIUS, or --max-drop with --against"
        )
    if bool(limits) != (against is not None):
        raise ParameterError("--max-drop and --against belong together: how far it may drop, and from what")
    with Ledger(path) as ledger:
        judged = contender(ledger, single_run(ledger, run).id)
    if not judged.outcomes:
        raise ParameterError(f"{path}: run {judged.name} has no certificates")
    judgements = [_at_least(judged, demand) for demand in minima]
    before = _baseline(path, against) if against is not None else None
    if before is not None:
        radii = sorted({d.radius for d in minima if d.radius is not None}) or _default_radii(judged, before)
        demands = [(d.share, r) for d in limits for r in ([d.radius] if d.radius is not None else radii)]
        judgements += [_at_most_dropped(judged, before, share, radius) for share, radius in demands]
    return GateResult(judged, before, tuple(judgements))


def _baseline(path: Path, against: str) -> Contender:
    """A run of the same ledger, unless ``against`` names a file."""
    if not split_name(against)[0].exists():
        with Ledger(path) as ledger:
            return contender(ledger, against)
    found = contenders_of(against)
    if len(found) != 1:
        names = ", ".join(c.name for c in found)
        raise ParameterError(f"--against {against}: {len(found)} runs; choose one as LEDGER:RUN: {names}")
    return found[0]


def _default_radii(judged: Contender, before: Contender) -> list[Fraction]:
    """Multiples of sigma / 2 up to 2 sigma at which either could certify anything."""
    radii = [(judged.sigma or Fraction(0)) * step / 2 for step in range(5)]
    return [radius for radius in radii if judged.reaches(radius) or before.reaches(radius)]


def _at_least(judged: Contender, demand: Demand) -> Judgement:
    radius, n = demand.radius, len(judged.outcomes)
    if radius is None:
        raise ParameterError("--min-certified-accuracy takes SHARE@RADIUS, such as 0.45@0.25")
    if not judged.reaches(radius):
        raise ParameterError(
            f"no certificate of run {judged.name} can reach radius {decimal_text(radius)}, not even by a unanimous vote: "
            "ask at a smaller radius"
        )
    count = sum(o.correct_at(radius) for o in judged.outcomes.values())
    limits = Interval(Fraction(clopper_pearson_lower_down(count, n, LEVEL)), clopper_pearson_upper_up(count, n, LEVEL))
    verdict = _verdict(shown=limits.lower >= demand.share, refuted=limits.upper < demand.share)
    measured = Fraction(count, n)
    needed = None
    if verdict == "not shown" and measured != demand.share:
        above, share, threshold = measured > demand.share, float(measured), float(demand.share)
        needed = _inputs_needed(
            n, lambda m: _lower(share * m, m) >= threshold if above else _lower((1 - share) * m, m) > 1 - threshold
        )
    words = f"certified accuracy at {decimal_text(radius)} is at least {decimal_text(demand.share)}"
    return Judgement(words, verdict, measured, f"{count} of {n}", limits, needed)


def _at_most_dropped(judged: Contender, before: Contender, most: Fraction, radius: Fraction) -> Judgement:
    pairs = matched(before, judged)
    counts = PairedCounts.of([o.correct_at(radius) for o, _ in pairs], [o.correct_at(radius) for _, o in pairs])
    lost, won, n = counts.only_first, counts.only_second, counts.total
    limits = Interval(-difference_upper_up(PairedCounts(won, lost, n), LEVEL), difference_upper_up(counts, LEVEL))
    verdict = _verdict(shown=limits.upper <= most, refuted=limits.lower > most)
    needed = None
    if verdict == "not shown" and counts.difference != most:
        p, q, threshold = lost / n, won / n, float(most)
        if counts.difference < most:
            needed = _inputs_needed(n, lambda m: _highest(p, q, m) <= threshold)
        else:
            needed = _inputs_needed(n, lambda m: -_highest(q, p, m) > threshold)
    words = f"certified accuracy at {decimal_text(radius)} dropped by at most {decimal_text(most)} from {before.name}"
    return Judgement(words, verdict, counts.difference, f"{lost} lost, {won} won of {n} paired", limits, needed)


def _verdict(shown: bool, refuted: bool) -> str:
    return "shown" if shown else "refuted" if refuted else "not shown"


def _highest(p: float, q: float, inputs: int) -> float:
    """About the upper limit of a drop when ``p`` of the inputs are lost and ``q`` are won, in floats: for planning."""
    from scipy.special import ndtri

    level = float(LEVEL)
    often = 1 - _lower((1 - p - q) * inputs, inputs, level / 20)
    limit = p - q
    for _ in range(4):  # the deviation depends on the difference itself, weakly
        limit = p - q + (1 - float(ndtri(level)) * math.sqrt(max(0.0, often - limit * limit) * inputs)) / inputs
    return limit


def _lower(count: float, inputs: int, level: float = float(LEVEL)) -> float:
    """About the Clopper-Pearson limit, in floats: for planning only, nothing is decided by it."""
    from scipy.special import betaincinv

    return float(betaincinv(count, inputs - count + 1, level)) if count > 0 else 0.0


def _inputs_needed(inputs: int, decides: Callable[[int], bool]) -> int | None:
    """About the smallest number of inputs above this one that decides, to two digits; None if a milliard does not."""
    low, high = inputs, 2 * inputs
    while not decides(high):
        if high > _MOST_INPUTS:
            return None
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    step = int(10 ** max(len(str(high)) - 2, 0))
    return -(-high // step) * step
