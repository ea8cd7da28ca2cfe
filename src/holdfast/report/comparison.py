"""A comparison of runs on the same inputs: its values, and its text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from holdfast.report.content import Measured
from holdfast.rounding import decimal_text, truncated_text
from holdfast.stats import Interval

__all__ = [
    "LEVEL_TEXT",
    "ComparedPair",
    "ComparedRun",
    "Comparison",
    "MeanRow",
    "ShareRow",
    "comparison_lines",
    "cost_text",
    "down_text",
]

LEVEL_TEXT = (
    "Each interval holds with 95 % on its own, not all of them together, if the inputs are a sample of those that matter. "
    "It is proved, not approximated, and therefore wide."
)


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        letter: A, B, C, ... by which it is called in what follows.
        name: the run's id, or the name of published results.
        ledger: the file it is from.
        facts: data, noise and samples, in words.
        notes: what has to be known about it.
        inputs: number of its inputs.
        abstained: those without a certificate.
        accuracy: certified accuracy over all its inputs, at the radii of the comparison.
        average_radius: average certified radius over all its inputs.
        samples: noisy copies, if known.
        seconds: time, if known.
        measured: its curve.
    """

    letter: str
    name: str
    ledger: str
    facts: str
    notes: tuple[str, ...]
    inputs: int
    abstained: int
    accuracy: tuple[Fraction, ...]
    average_radius: Fraction
    samples: int | None
    seconds: float | None
    measured: Measured

    @property
    def seconds_per_input(self) -> float | None:
        """Time of one input on average."""
        return self.seconds / self.inputs if self.seconds is not None and self.inputs else None


@dataclass(frozen=True, slots=True)
class ShareRow:
    """Certified accuracy at one radius, on the inputs that both have.

    Attributes:
        radius: in image units.
        first: share of the first run.
        second: share of the second run.
        only_first: inputs that only the first certifies correctly here.
        only_second: inputs that only the second does.
        interval: of second minus first.
    """

    radius: Fraction
    first: Fraction
    second: Fraction
    only_first: int
    only_second: int
    interval: Interval


@dataclass(frozen=True, slots=True)
class MeanRow:
    """Average certified radius on the inputs that both have; the interval is of second minus first, None if unknown."""

    first: Fraction
    second: Fraction
    interval: Interval | None

    @property
    def ratio(self) -> Fraction | None:
        """Second divided by first."""
        return self.second / self.first if self.first else None


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """A run against the first one, on the inputs that both have."""

    first: ComparedRun
    second: ComparedRun
    inputs: int
    by_digest: bool
    shares: tuple[ShareRow, ...]
    mean: MeanRow

    @property
    def time_ratio(self) -> float | None:
        """Time per input, second divided by first."""
        one, other = self.first.seconds_per_input, self.second.seconds_per_input
        return other / one if one and other is not None else None

    @property
    def heading(self) -> str:
        """What is paired, and how it was matched."""
        how = "the same images by their digests" if self.by_digest else "matched by index, images not compared"
        return f"{self.second.letter} against {self.first.letter}: {self.inputs} inputs that both have ({how})"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows of text."""
        a, b = self.first.letter, self.second.letter
        header = ["radius", a, b, f"{b} - {a}", "95 % interval", f"only {a}", f"only {b}"]
        rows = [
            [
                decimal_text(r.radius), down_text(r.first), down_text(r.second), down_text(r.second - r.first),
                r.interval.text(), str(r.only_first), str(r.only_second),
            ]
            for r in self.shares
        ]  # fmt: skip
        m = self.mean
        interval = m.interval.text() if m.interval else "no proved one"
        return header, [
            *rows,
            ["ACR", down_text(m.first), down_text(m.second), down_text(m.second - m.first), interval, "", ""],
        ]

    def ratios(self) -> str:
        """Second divided by first, in a sentence without intervals."""
        a, b = self.first.letter, self.second.letter
        parts = [f"ACR {down_text(self.mean.ratio, 3)}"] if self.mean.ratio is not None else []
        parts += [f"time per input {self.time_ratio:.3g}"] if self.time_ratio is not None else []
        return f"{b} / {a}: {', '.join(parts)}" if parts else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, each compared with the first one."""

    radii: tuple[Fraction, ...]
    runs: tuple[ComparedRun, ...]
    pairs: tuple[ComparedPair, ...]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Certified accuracy of every run over all its own inputs: column names and rows of text."""
        rows = [
            [decimal_text(radius), *(truncated_text(run.accuracy[i], 4) for run in self.runs)]
            for i, radius in enumerate(self.radii)
        ]
        acr = ["ACR", *(truncated_text(run.average_radius, 4) for run in self.runs)]
        return ["radius", *(run.letter for run in self.runs)], [*rows, acr]


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """A comparison as lines for a terminal."""
    for run in comparison.runs:
        yield f"{run.letter}  {run.name} in {run.ledger}"
        yield f"   {run.facts}"
        yield f"   {cost_text(run)}"
        yield from (f"   NOTE: {note}" for note in run.notes)
    yield ""
    yield "certified accuracy of each over all its own inputs, by radius (image units)"
    yield from _columns(*comparison.table())
    for pair in comparison.pairs:
        yield ""
        yield pair.heading
        yield from _columns(*pair.table())
        if pair.ratios():
            yield pair.ratios()
    yield ""
    yield LEVEL_TEXT


def cost_text(run: ComparedRun) -> str:
    """Inputs, samples and time of a run, as far as known."""
    parts = [f"{run.inputs} inputs, {run.abstained} abstained"]
    parts += [f"{run.samples:,} samples"] if run.samples is not None else []
    parts += [f"{run.seconds_per_input:.3g} s per input"] if run.seconds_per_input is not None else []
    return "; ".join(parts)


def down_text(value: Fraction, digits: int = 4) -> str:
    """A number that may be negative, rounded down.

    Example:
        >>> down_text(Fraction(2, 3)), down_text(Fraction(-2, 3))
        ('0.6666', '-0.6667')
    """
    scaled = math.floor(value * 10**digits)
    return ("-" if scaled < 0 else "") + truncated_text(Fraction(abs(scaled), 10**digits), digits)


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Flush right, as wide as needed."""
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    for line in (header, *rows):
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
