"""The table of inputs: every certificate as a row of text, and why an abstention is one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from html import escape
from math import ceil
from typing import Any

from holdfast.records import ABSTAIN, Certificate, ImportedResult, Run
from holdfast.report.content import ImportedReport, Measured, RunReport
from holdfast.report.pictures import png_base64, shrunk
from holdfast.rounding import radius_text, truncated_text

__all__ = ["INPUT_COLUMNS", "MOST_PICTURES", "abstention_reason", "input_rows", "inputs_data", "inputs_markup"]

MOST_PICTURES = 2500
"""Thumbnails of one run: a page has to stay a file that can be sent."""

INPUT_COLUMNS = ("index", "label", "predicted", "radius", "p lower", "p upper", "votes", "why")
_DIGITS = 6
_KEYS = ("index", "label", "predicted", "radius", "lower", "upper", "votes")
_OUTCOMES = (("all", "all"), ("right", "certified, right"), ("wrong", "certified, wrong"), ("abstained", "abstained"))
_TURNS = (("first", "First"), ("back", "Previous"), ("next", "Next"), ("last", "Last"))


def abstention_reason(run: Run, certificate: Certificate) -> str:
    """Why nothing could be certified, from the certificate alone; empty if something was."""
    c = certificate
    if not c.abstained:
        return ""
    p_lower, half = Fraction(c.p_lower), Fraction(1, 2)
    if p_lower > half:
        if p_lower - Fraction(run.epsilon) <= half:
            return f"p lower less the charge for the noise table ({run.epsilon}) is not above 1/2"
        return "p lower is above 1/2, yet the ledger says that it abstained: holdfast verify tells more"
    votes, most = _votes(c), max(c.counts)
    said = f"p lower {truncated_text(p_lower, _DIGITS)} <= 1/2: class {c.label} had {votes} of {run.n}"
    if votes == most:
        return said
    return f"{said}, class {c.counts.index(most)} had {most}; the {run.n0} selection samples had favoured {c.label}"


def input_rows(report: Measured) -> list[tuple[str, ...]]:
    """One row of :data:`INPUT_COLUMNS` for each input; lower limits and radii are cut, upper limits raised."""
    return [
        (str(index), str(label), "abstain" if predicted == ABSTAIN else str(predicted), *texts)
        for index, label, predicted, _, *texts in _rows(report)
    ]


def inputs_data(reports: Sequence[Measured], names: Sequence[str]) -> list[dict[str, Any]]:
    """What the page's script needs: for each run its name, its rows, names of classes, and thumbnails by index.

    A row is index, true label, prediction (-1: abstained), the number to sort radii by, and the texts of radius,
    p lower, p upper, votes and reason.
    """
    return [
        {
            "name": name,
            "rows": _rows(report),
            "classes": list(report.classes) if isinstance(report, RunReport) else [],
            "pictures": _thumbnails(report) if isinstance(report, RunReport) else {},
        }
        for report, name in zip(reports, names, strict=True)
    ]


def inputs_markup(data: Sequence[dict[str, Any]]) -> str:
    """Controls and an empty table; the script fills it with the rows of ``data``, a page at a time."""
    pictures = any(run["pictures"] for run in data)
    heads = "".join(
        f'<th scope="col" data-key="{key}" aria-sort="{"ascending" if key == "index" else "none"}">'
        f'<button type="button">{column}</button></th>'
        for key, column in zip(_KEYS, INPUT_COLUMNS, strict=False)
    )
    turns = "".join(f'<button type="button" data-control="{name}">{text}</button>' for name, text in _TURNS)
    return (
        f'<div class="inputs" hidden{" data-pictures=yes" if pictures else ""}>\n<div class="controls">'
        f"{_select('run', 'Run', [(str(i), run['name']) for i, run in enumerate(data)]) if len(data) > 1 else ''}"
        f"{_select('outcome', 'Outcome', _OUTCOMES)}"
        '<label>Containing <input data-control="text" type="search" autocomplete="off"></label></div>\n'
        '<div class="wide" role="region" aria-label="inputs" tabindex="0"><table>\n<thead><tr>'
        f'{"<th>image</th>" if pictures else ""}{heads}<th scope="col">why</th></tr></thead>\n<tbody></tbody></table></div>\n'
        f'<p role="status"></p>\n<div class="controls">{turns}</div>\n</div>\n'
    )


def _select(control: str, name: str, options: Sequence[tuple[str, str]]) -> str:
    listed = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{name} <select data-control="{control}">{listed}</select></label>'


def _rows(report: Measured) -> list[list[Any]]:
    if isinstance(report, RunReport):
        return [_own_row(report.run, label, c) for label, c in report.results]
    return [_published_row(result) for result in report.imported.results] if isinstance(report, ImportedReport) else []


def _own_row(run: Run, label: int, c: Certificate) -> list[Any]:
    p_lower, p_upper = truncated_text(Fraction(c.p_lower), _DIGITS), _raised(c.p_upper)
    votes = f"{_votes(c)} of {run.n}"
    return [
        c.index, label, c.prediction, c.radius_sq_px, radius_text(c.radius_sq_px), p_lower, p_upper, votes,
        abstention_reason(run, c),
    ]  # fmt: skip


def _published_row(r: ImportedResult) -> list[Any]:
    abstained = r.prediction == ABSTAIN
    radius, order = ("abstain", -1.0) if abstained else (r.radius, float(Fraction(r.radius)))
    return [r.index, r.label, r.prediction, order, radius, "", "", "", "imported, not re-checkable"]


def _thumbnails(report: RunReport) -> dict[int, str]:
    chosen = [c.index for _, c in report.results if c.index in report.images][:MOST_PICTURES]
    return {index: text for index in chosen if (text := png_base64(shrunk(report.images[index])))}


def _votes(certificate: Certificate) -> int:
    """Estimation samples that had the certificate's label."""
    known = 0 <= certificate.label < len(certificate.counts)
    return certificate.counts[certificate.label] if known else 0


def _raised(value: float) -> str:
    """An upper limit with six decimals, never smaller than it is."""
    return truncated_text(Fraction(ceil(Fraction(value) * 10**_DIGITS), 10**_DIGITS), _DIGITS)
