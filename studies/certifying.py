"""What the studies share: a float network and its integer network, certified by the methods of the IntRS paper, as tables.

    IntRS-quant          the integer network, discrete Gaussian noise
    FloatRS-fp           the float network, continuous noise
    FloatRS-quant        continuous noise added, rounded to whole grey levels, the integer network
    FloatRS-quant, clip  the same, clipped to 0..255

Only the first is inside the exact guarantee.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from holdfast.cli.output import epoch_line
from holdfast.data import DataSet
from holdfast.intnet import IntegerNetwork
from holdfast.ledger import Ledger
from holdfast.records import Certificate, Run
from holdfast.rounding import certified_at, cut_text, decimal_text, truncated_text
from holdfast.stats import (
    PairedCounts,
    accuracy_among_certified,
    average_certified_radius,
    certified_accuracy,
    certified_percentage,
    difference_upper_up,
)
from holdfast.training import EpochRecord
from holdfast.workflows.certify import Progress, certify_inputs, choose_indices, open_run
from holdfast.workflows.classifiers import Network, as_classifier

N0, ALPHA = 100, "0.001"
LEVEL = Fraction(1, 20)
AIM = Fraction(2, 100)
Results = Sequence[tuple[int, Certificate]]
METRICS = (
    ("Certified accuracy (%)", certified_accuracy),
    ("Certified percentage (%)", certified_percentage),
    ("Accuracy among the certified, eq. (10) of the paper (%)", accuracy_among_certified),
)


@dataclass(frozen=True)
class Method:
    """A way to certify: which network, which noise."""

    name: str
    slug: str
    integer: bool
    noise: str
    clip: bool = False


METHODS = (
    Method("IntRS-quant", "intrs", True, "discrete"),
    Method("FloatRS-fp", "float", False, "continuous"),
    Method("FloatRS-quant", "quant", True, "continuous"),
    Method("FloatRS-quant, clip", "clip", True, "continuous", clip=True),
)
BY_SLUG = {method.slug: method for method in METHODS}


def certify(
    ledger: Ledger,
    method: Method,
    network: Network | IntegerNetwork,
    test: DataSet,
    *,
    sigma: str,
    n: int,
    inputs: int,
    title: str,
    **how: Any,
) -> Run:
    """Certify evenly spaced test images as far as the ledger does not have them yet; one run per set of parameters.

    Args:
        how: of :func:`as_classifier`: ``dtype``, ``compiled``, ``threads``.
    """
    classifier = as_classifier(network, sigma=sigma, noise=method.noise, clip=method.clip, **how)
    run = open_run(ledger, classifier, test, n0=N0, n=n, alpha=ALPHA)
    chosen = choose_indices(len(test), min(inputs, len(test)), None)
    certify_inputs(ledger, run, classifier, test, chosen, on_progress=_reporter(title))
    return run


def finished_run(
    ledger: Ledger, method: Method, *, sigma: str, n: int, inputs: int, network: IntegerNetwork | None = None
) -> Run | None:
    """The run that :func:`certify` made, if so many inputs are certified.

    Args:
        network: for methods of integer networks: a run of another one does not count.

    Raises:
        SystemExit: two runs fit, as of two float networks.
    """
    wanted = (Fraction(sigma), N0, n, ALPHA, method.noise, method.clip, network.digest if network else None)
    found = []
    for run in ledger.runs():
        facts = run.classifier
        of = facts.get("network") if network else None
        same = (Fraction(run.sigma), run.n0, run.n, run.alpha, run.noise, bool(facts.get("clip")), of) == wanted
        if same and method.integer == (facts["evaluation"] == "integer") and len(ledger.finished(run)) >= inputs:
            found.append(run)
    if len(found) > 1:
        raise SystemExit(f"{ledger.path}: runs {', '.join(run.id for run in found)} all fit: keep one of them")
    return found[0] if found else None


def show_epochs(name: str, epochs: int) -> Callable[[EpochRecord], None]:
    """What prints every epoch of a training."""
    return lambda record: print(f"{name}, {epoch_line(record, epochs)}", flush=True)


def _reporter(title: str, every_seconds: float = 30.0) -> Callable[[Progress], None]:
    """A line every half minute, and one at the end."""
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < every_seconds and progress.inputs_done < progress.inputs:
            return
        last, rate = now, progress.samples_done / max(progress.seconds, 1e-9)
        left = "" if progress.seconds_left is None else f", {progress.seconds_left / 60:.0f} min left"
        print(f"{title}: {progress.inputs_done}/{progress.inputs} inputs, {rate:.0f} samples/s{left}", flush=True)

    return report


def results_of(ledger: Ledger, run: Run) -> Results:
    """Label and certificate of every input, in order."""
    return [(entry.label, entry.certificate) for entry in ledger.entries(run)]


def triples(results: Results) -> list[tuple[int, int | None, int]]:
    """Label, prediction and squared radius in grey levels, as the metrics take them."""
    return [(label, c.prediction, c.radius_sq_px) for label, c in results]


def header(first: str, radii: Sequence[Fraction]) -> list[str]:
    """The first two lines of a table by radius."""
    return [f"| {first} | " + " | ".join(decimal_text(r) for r in radii) + " |", "|---|" + "---|" * len(radii)]


def metric_table(
    metric: Callable[[Any, Fraction], Fraction], results: Mapping[str, Results], radii: Sequence[Fraction]
) -> list[str]:
    """A row per method: average certified radius, then a metric by radius in percent, all cut."""
    lines = header("method | ACR", radii)
    lines[1] = "|---" + lines[1]
    for name, found in results.items():
        cells = [truncated_text(metric(triples(found), r) * 100, 1) for r in radii]
        acr = cut_text(average_certified_radius(triples(found)))
        lines.append(f"| {name} | {acr} | " + " | ".join(cells) + " |")
    return lines


def loss_table(results: Mapping[str, Results], radii: Sequence[Fraction], of: str = "IntRS-quant") -> list[str]:
    """How much certified accuracy one method loses against each other one, with proved one-sided upper limits."""
    lines = header("against", radii)
    for name, found in results.items():
        if name != of:
            cells = [f"{float(d):+.4f}, at most {float(u):.4f}" for d, u in losses(found, results[of], radii)]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def losses(first: Results, second: Results, radii: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
    """At each radius: how much more the first certifies on the same inputs, and the 95 % limit, rounded up."""
    found = [_paired(first, second, lambda sq, r=radius: certified_at(sq, r)) for radius in radii]
    return [(counts.difference, _limit(counts)) for counts in found]


def limits_everywhere(first: Results, second: Results) -> list[tuple[int, Fraction]]:
    """The limits of :func:`losses` at every radius: between two of these squared radii, in grey levels, nothing changes."""
    ends = sorted({c.radius_sq_px for _, c in (*first, *second) if not c.abstained})
    return [(end, _limit(_paired(first, second, lambda sq, end=end: sq >= end))) for end in ends]


def verdict(results: Mapping[str, Results], sigma: str, radii: Sequence[Fraction]) -> Iterator[str]:
    """Whether IntRS loses no more than the aim against the float network: at these radii, and at every one below the cap."""
    pair = results["FloatRS-fp"], results["IntRS-quant"]
    worst = max(limit for _, limit in losses(*pair, radii))
    yield f"Largest limit against FloatRS-fp at these radii: {float(worst):.4f}; {'met' if worst <= AIM else 'MISSED'}."
    everywhere = limits_everywhere(*pair)
    end, most = max(everywhere, key=lambda found: found[1])
    above = sum(limit > AIM for _, limit in everywhere)
    yield f"At every radius below the cap, which are {len(everywhere)} different ones: {float(most):.4f} at"
    yield f"{end**0.5 / 255 / float(sigma):.3f} sigma; {'met' if not above else f'MISSED at {above} of them'}."


def _paired(first: Results, second: Results, reaches: Callable[[int], bool]) -> PairedCounts:
    """How often only one of them is right with a radius that reaches far enough."""
    inputs = [[(c.index, c.digest, label) for label, c in results] for results in (first, second)]
    if inputs[0] != inputs[1]:
        raise SystemExit("the runs are not of the same inputs")
    pairs = [[label == c.prediction and reaches(c.radius_sq_px) for label, c in results] for results in (first, second)]
    return PairedCounts.of(*pairs)


@cache
def _limit(counts: PairedCounts) -> Fraction:
    return Fraction(math.ceil(difference_upper_up(counts, LEVEL) * 10_000), 10_000)
