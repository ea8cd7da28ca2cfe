"""A comparison as one self-contained HTML page."""

from __future__ import annotations

from holdfast.report.comparison import LEVEL_TEXT, ComparedPair, Comparison, cost_text
from holdfast.report.content import GUARANTEE, NO_GUARANTEE
from holdfast.report.elements import facts, note, section, table
from holdfast.report.page import page
from holdfast.report.plot import Series, curves_svg, reading_points
from holdfast.report.tables import reading_texts

__all__ = ["comparison_page"]

_RADIUS = "L2 radius (image units)"
_PAIRED = (
    "Only inputs that both have are counted here. What both certify, or neither, says nothing about the difference; the "
    "interval comes from the inputs that only one of them certifies correctly at the radius (two Clopper-Pearson limits for "
    "each end). The interval of the average certified radius (ACR) is the smaller of Hoeffding's and of the empirical "
    "Bernstein bound; where published results take part there is none, because their largest possible radius is not known. "
    "Ratios are given without an interval."
)


def comparison_page(comparison: Comparison) -> str:
    """The page: who is compared, the curves, the table of all, and each pair."""
    runs = comparison.runs
    title = " / ".join(f"{run.letter} {run.name}" for run in runs)
    body = section("What is compared", "".join(_run(comparison, i) for i in range(len(runs))))
    series = [Series(f"{r.letter}: {r.measured.name}", r.measured.curve(), dashed=r.measured.published) for r in runs]
    texts = reading_texts([run.measured for run in runs], reading_points(series))
    curves = curves_svg(series, x_label=_RADIUS, y_label="certified accuracy", texts=texts)
    body += section("Certified accuracy", curves + table(*comparison.table(), numbers=True))
    body += "".join(_pair(pair) for pair in comparison.pairs)
    body += section("What this says", note(LEVEL_TEXT) + note(_PAIRED) + note(GUARANTEE) + note(NO_GUARANTEE))
    return page(f"Comparison: {title}", body)


def _run(comparison: Comparison, number: int) -> str:
    run = comparison.runs[number]
    told = facts([(run.letter, f"{run.name} in {run.ledger}"), ("what", run.facts), ("cost", cost_text(run))])
    return told + "".join(note(f"{run.letter}: {text}", warning=True) for text in run.notes)


def _pair(pair: ComparedPair) -> str:
    ratios = note(pair.ratios()) if pair.ratios() else ""
    how = note(pair.heading)
    return section(
        f"{pair.second.letter} against {pair.first.letter}", how + table(*pair.table(), numbers=True) + ratios
    )
