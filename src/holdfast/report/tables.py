"""The tables that a report has in every form: columns, and rows of text. Shares are exact and cut when they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from holdfast.report.content import Measured, RunReport, curve_names, percent_text
from holdfast.report.plot import Series, reading_points
from holdfast.rounding import decimal_text

__all__ = [
    "METRICS",
    "OVERVIEW_COLUMNS",
    "curve_series",
    "metric_table",
    "overview_rows",
    "provenance_facts",
    "reading_texts",
]

OVERVIEW_COLUMNS = (
    "curve", "inputs", "abstained", "certified accuracy at radius 0", "average certified radius", "certified percentage",
    "accuracy among certified",
)  # fmt: skip
METRICS = {
    "certified accuracy": (
        "certified_accuracy",
        "The field's: correct, not abstained and certified at the radius, divided by all inputs.",
    ),
    "certified percentage": (
        "certified_percentage",
        "Certified at the radius, whether or not the label is right, divided by all inputs.",
    ),
    "accuracy among certified": (
        "accuracy_among_certified",
        "Correct and certified at the radius, divided by the inputs that did not abstain: eq. (10) of the integer "
        "smoothing paper. Not comparable with certified accuracy: abstaining makes the divisor smaller.",
    ),
}
"""Name, function of a curve, and what it is."""
_EVERY = 5


def curve_series(curves: Sequence[Measured]) -> list[Series]:
    """The curves with names that differ; what was published is dashed."""
    return [Series(n, c.curve(), dashed=c.published) for n, c in zip(curve_names(curves), curves, strict=True)]


def overview_rows(curves: Sequence[Measured]) -> list[tuple[str, ...]]:
    """A row of :data:`OVERVIEW_COLUMNS` for each curve."""
    zero = Fraction(0)
    return [
        (
            name,
            str(c.total),
            str(c.abstained),
            percent_text(c.certified_accuracy(zero)),
            c.average_radius(),
            percent_text(c.certified_percentage(zero)),
            percent_text(c.accuracy_among_certified(zero)),
        )
        for name, c in zip(curve_names(curves), curves, strict=True)
    ]


def reading_texts(curves: Sequence[Measured], points: Sequence[Fraction]) -> list[list[str]]:
    """Certified accuracy of each curve at each radius: the metric itself, not the height of a drawing."""
    return [[percent_text(c.certified_accuracy(radius)) for radius in points] for c in curves]


def metric_table(curves: Sequence[Measured], metric: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a metric at evenly spaced radii: the radius, then each curve.

    Args:
        curves: what is compared.
        metric: a key of :data:`METRICS`.
    """
    points = reading_points(curve_series(curves))[::_EVERY]
    function = METRICS[metric][0]
    rows = [[decimal_text(r), *(percent_text(getattr(c, function)(r)) for c in curves)] for r in points]
    return ["radius", *curve_names(curves)], rows


def provenance_facts(report: RunReport) -> list[tuple[str, str]]:
    """Everything that a run's record says, one line each."""
    run = report.run
    given = "given by the caller: a replay, or no fresh evidence" if run.nonce_given else "drawn when the run started"
    return [
        ("run", run.id),
        ("ledger", report.source or "-"),
        ("SHA-256 of its canonical export", report.export_digest or "-"),
        ("data", run.data),
        ("digest of the data", run.data_digest),
        ("input space", f"{' x '.join(map(str, run.shape))} grey levels 0 to 255, {run.num_classes} classes"),
        ("noise", f"{run.noise}, sigma {run.sigma} image units = {decimal_text(run.sigma_px)} grey levels"),
        ("digest of the noise table", run.noise_digest),
        ("charge for the noise table", run.epsilon),
        ("samples", f"n0 = {run.n0} select the class, n = {run.n} estimate it"),
        ("looks", ", ".join(map(str, run.looks))),
        ("alpha", f"{run.alpha}, split into {' + '.join(run.alpha_split)}"),
        ("bound", run.bound),
        ("theorem", run.theorem),
        ("nonce", run.nonce),
        ("nonce was", given),
        ("fingerprint of the classifier", run.fingerprint),
        *((f"classifier: {name}", _plain(value)) for name, value in sorted(run.classifier.items())),
    ]


def _plain(value: object) -> str:
    """A recorded fact as text."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
