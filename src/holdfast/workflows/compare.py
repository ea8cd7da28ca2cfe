"""``holdfast compare``: runs side by side, and each against the first on the inputs that both have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from string import ascii_uppercase
from typing import Any

from holdfast.errors import ParameterError
from holdfast.records import Run
from holdfast.report.comparison import ComparedPair, ComparedRun, Comparison, MeanRow, ShareRow
from holdfast.rounding import decimal_text, exact_decimal, radius_down
from holdfast.stats import Interval, PairedCounts, difference_interval, mean_difference_interval
from holdfast.workflows.contenders import Contender, Outcome, contenders_of, matched

__all__ = ["LEVEL", "as_json", "compare", "default_radii", "outward"]

LEVEL = Fraction(1, 20)
"""Failure probability of each interval."""


def compare(names: Sequence[str], radii: Sequence[str] = ()) -> Comparison:
    """Compare every run that is named with the first one.

    Args:
        names: ``LEDGER`` for everything in it, or ``LEDGER:RUN``.
        radii: where certified accuracy is compared, decimals in image units; by default :func:`default_radii`.

    Raises:
        ParameterError: fewer than two runs, more than 26, an unusable radius, or runs on other data.
        LedgerError: a ledger cannot be read, or there is no such run.
    """
    found = [contender for name in names for contender in contenders_of(name)]
    if not 2 <= len(found) <= len(ascii_uppercase):
        raise ParameterError(
            f"{len(found)} run{'s' * (len(found) != 1)} named; 2 to {len(ascii_uppercase)} can be compared: "
            "name ledgers, or runs as LEDGER:RUN"
        )
    chosen = sorted({_radius(text) for text in radii}) or default_radii(found)
    pairings = [matched(found[0], other) for other in found[1:]]
    runs = tuple(_compared(letter, c, chosen) for letter, c in zip(ascii_uppercase, found, strict=False))
    pairs = tuple(
        _paired(runs[0], run, found[0], other, pairing, chosen)
        for run, other, pairing in zip(runs[1:], found[1:], pairings, strict=True)
    )
    return Comparison(tuple(chosen), runs, pairs)


def default_radii(found: Sequence[Contender]) -> list[Fraction]:
    """Multiples of sigma / 2 up to 2 sigma, for every sigma, as far as any of them could certify anything.

    Where no sigma is known: quarters up to 1.
    """
    sigmas = {c.sigma for c in found if c.sigma is not None} or {Fraction(1, 2)}
    radii = sorted({sigma * step / 2 for sigma in sigmas for step in range(5)})
    return [radius for radius in radii if any(c.reaches(radius) for c in found)]


def _radius(text: str) -> Fraction:
    radius = exact_decimal(text, "a radius")
    if radius < 0:
        raise ParameterError(f"a radius cannot be negative: {text}")
    return radius


def _compared(letter: str, contender: Contender, radii: Sequence[Fraction]) -> ComparedRun:
    measured, outcomes = contender.measured, contender.outcomes.values()
    if not outcomes:
        raise ParameterError(f"{contender.ledger}: run {contender.name} has no certificates")
    return ComparedRun(
        letter=letter,
        name=contender.name,
        ledger=contender.ledger,
        facts=_facts(contender),
        notes=tuple(contender.notes()),
        inputs=measured.total,
        abstained=measured.abstained,
        accuracy=tuple(measured.certified_accuracy(radius) for radius in radii),
        average_radius=sum((o.gain for o in outcomes), Fraction(0)) / len(outcomes),
        samples=contender.samples,
        seconds=contender.seconds,
        measured=measured,
    )


def _facts(contender: Contender) -> str:
    record = contender.record
    if isinstance(record, Run):
        return (
            f"{record.data}, {record.noise} noise, sigma {record.sigma}, n0 {record.n0}, n {record.n}, "
            f"alpha {record.alpha}"
        )
    return f"{record.data}, sigma {record.sigma or 'unknown'}"


def _paired(
    one: ComparedRun,
    other: ComparedRun,
    first: Contender,
    second: Contender,
    pairing: Sequence[tuple[Outcome, Outcome]],
    radii: Sequence[Fraction],
) -> ComparedPair:
    by_digest = all(o.digest is not None for pair in pairing for o in pair)
    shares = tuple(_shares(pairing, radius) for radius in radii)
    return ComparedPair(one, other, len(pairing), by_digest, shares, _means(first, second, pairing))


def _shares(pairing: Sequence[tuple[Outcome, Outcome]], radius: Fraction) -> ShareRow:
    first, second = ([o.correct_at(radius) for o in side] for side in zip(*pairing, strict=True))
    counts = PairedCounts.of(second, first)
    n = len(pairing)
    return ShareRow(
        radius=radius,
        first=Fraction(sum(first), n),
        second=Fraction(sum(second), n),
        only_first=counts.only_second,
        only_second=counts.only_first,
        interval=difference_interval(counts, LEVEL),
    )


def _means(first: Contender, second: Contender, pairing: Sequence[tuple[Outcome, Outcome]]) -> MeanRow:
    gains = [[o.gain for o in side] for side in zip(*pairing, strict=True)]
    n, caps = len(pairing), (first.cap_sq_px, second.cap_sq_px)
    interval: Interval | None = None
    if caps[0] is not None and caps[1] is not None and n >= 2:
        largest = [Fraction(radius_down(cap)) for cap in (caps[1], caps[0])]
        interval = mean_difference_interval(gains[1], gains[0], largest[0], largest[1], LEVEL)
    return MeanRow(sum(gains[0], Fraction(0)) / n, sum(gains[1], Fraction(0)) / n, interval)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON values; shares as floats, interval ends rounded outward."""
    return {
        "radii": [decimal_text(radius) for radius in comparison.radii],
        "level": float(LEVEL),
        "runs": [
            {
                "letter": run.letter,
                "name": run.name,
                "ledger": run.ledger,
                "facts": run.facts,
                "notes": list(run.notes),
                "inputs": run.inputs,
                "abstained": run.abstained,
                "certified_accuracy": [float(share) for share in run.accuracy],
                "average_certified_radius": float(run.average_radius),
                "samples": run.samples,
                "seconds": run.seconds,
            }
            for run in comparison.runs
        ],
        "pairs": [_pair_json(pair) for pair in comparison.pairs],
    }


def _pair_json(pair: ComparedPair) -> dict[str, Any]:
    mean = pair.mean
    return {
        "first": pair.first.letter,
        "second": pair.second.letter,
        "inputs": pair.inputs,
        "matched_by": "digest" if pair.by_digest else "index",
        "certified_accuracy": [
            {
                "radius": decimal_text(row.radius),
                "first": float(row.first),
                "second": float(row.second),
                "only_first": row.only_first,
                "only_second": row.only_second,
                "interval": outward(row.interval),
            }
            for row in pair.shares
        ],
        "average_certified_radius": {
            "first": float(mean.first),
            "second": float(mean.second),
            "ratio": float(mean.ratio) if mean.ratio is not None else None,
            "interval": outward(mean.interval) if mean.interval else None,
        },
        "time_per_input_ratio": pair.time_ratio,
    }


def outward(interval: Interval) -> list[float]:
    """Both ends as doubles that leave nothing out."""
    low, high = float(interval.lower), float(interval.upper)
    low = low if Fraction(low) <= interval.lower else math.nextafter(low, -math.inf)
    return [low, high if Fraction(high) >= interval.upper else math.nextafter(high, math.inf)]
