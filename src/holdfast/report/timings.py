"""Where the time of a run went, as far as it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from holdfast.records import Certificate

__all__ = ["Timing", "outcome_name", "time_by_outcome", "time_by_place", "time_facts"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One input, computed once.

    Attributes:
        index: of the input.
        samples: noisy copies that were labelled.
        seconds: wall-clock time that took.
        host: name of the machine.
        engine: what labelled them.
    """

    index: int
    samples: int
    seconds: float
    host: str
    engine: str


def time_facts(timings: Sequence[Timing], wanted: int) -> list[tuple[str, str]]:
    """Time and speed of a run.

    Args:
        timings: what was recorded.
        wanted: samples that its certificates rest on; what an interrupted call had labelled was not timed.
    """
    if not timings:
        return [("time", "not recorded")]
    samples, each = sum(t.samples for t in timings), sorted(t.seconds for t in timings)
    facts = [
        ("time", _seconds(fsum(each))),
        ("samples timed", f"{samples:,}"),
        ("samples per second", _speed(timings)),
        ("seconds per input: least, median, most", ", ".join(f"{s:.3f}" for s in (each[0], _median(each), each[-1]))),
    ]
    if samples != wanted:
        facts.append(
            ("samples in the certificates", f"{wanted:,}; the others were labelled by calls that left no time")
        )
    return facts


def time_by_place(timings: Sequence[Timing]) -> list[tuple[str, str, str, str, str]]:
    """Host and engine, inputs, samples, time, samples per second."""
    places = sorted({(t.host, t.engine) for t in timings})
    rows = []
    for host, engine in places:
        here = [t for t in timings if (t.host, t.engine) == (host, engine)]
        seconds = _seconds(fsum(t.seconds for t in here))
        rows.append((f"{host}, {engine}", str(len(here)), f"{sum(t.samples for t in here):,}", seconds, _speed(here)))
    return rows


def time_by_outcome(
    timings: Sequence[Timing], results: Sequence[tuple[int, Certificate]]
) -> list[tuple[str, str, str, str]]:
    """Outcome, inputs, time, share of the time: what the samples were spent on."""
    outcome = {c.index: outcome_name(label, c) for label, c in results}
    whole = fsum(t.seconds for t in timings)
    rows = []
    for name in ("right", "wrong", "abstained"):
        seconds = fsum(t.seconds for t in timings if outcome.get(t.index) == name)
        share = f"{seconds / whole:.1%}".replace("%", " %") if whole else "-"
        rows.append((name, str(sum(o == name for o in outcome.values())), _seconds(seconds), share))
    return rows


def outcome_name(true_label: int, certificate: Certificate) -> str:
    """``right``, ``wrong`` or ``abstained``."""
    if certificate.abstained:
        return "abstained"
    return "right" if certificate.label == true_label else "wrong"


def _median(ordered: Sequence[float]) -> float:
    return ordered[len(ordered) // 2]


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s"


def _speed(timings: Sequence[Timing]) -> str:
    seconds = fsum(t.seconds for t in timings)
    return f"{sum(t.samples for t in timings) / seconds:,.0f}" if seconds else "-"
