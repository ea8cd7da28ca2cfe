"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from html import escape

from holdfast.report.content import GUARANTEE, NO_GUARANTEE, ImportedReport, Measured, RunReport, curve_names
from holdfast.report.elements import anchor, facts, folded, note, section, table
from holdfast.report.examples import Example
from holdfast.report.histogram import HISTOGRAM_COLUMNS, histogram_rows, histogram_svg
from holdfast.report.inputs import MOST_PICTURES, inputs_data, inputs_markup
from holdfast.report.page import page
from holdfast.report.pictures import centre, data_address
from holdfast.report.plot import curves_svg, reading_points
from holdfast.report.tables import (
    METRICS,
    OVERVIEW_COLUMNS,
    curve_series,
    metric_table,
    overview_rows,
    provenance_facts,
    reading_texts,
)
from holdfast.report.timings import time_by_outcome, time_by_place, time_facts
from holdfast.rounding import decimal_text

__all__ = ["html_report"]

_FLOAT_NOISE = "Float noise: these radii are outside the exact guarantee."
_GIVEN = "The nonce was given, not drawn: a replay of another run, or no fresh evidence."
_X, _Y = "L2 radius (image units)", "certified accuracy"


def html_report(title: str, runs: Sequence[RunReport], imported: Sequence[ImportedReport] = ()) -> str:
    """The page: accuracy, probabilities, time, examples, inputs, where everything is from, and what it says.

    Args:
        title: heading of the page, plain text.
        runs: what to report.
        imported: published results to stand beside them.
    """
    curves: list[Measured] = [*runs, *imported]
    names = curve_names(curves)
    own = list(zip(runs, names, strict=False))
    data = inputs_data(curves, names)
    sections = [
        ("Certified accuracy", _accuracy(curves)),
        ("Probability of the class", "".join(_histogram(report, name) for report, name in own)),
        ("Time and size", "".join(_time(report, name) for report, name in own)),
        ("Noisy copies", "".join(_examples(report, name) for report, name in own)),
        ("Inputs", _inputs(runs, data)),
        ("Provenance", _provenance(own, imported)),
        ("What this says", _meaning(runs, imported)),
    ]
    present = [(name, body) for name, body in sections if body]
    links = "".join(f'<li><a href="#{anchor(name)}">{name}</a></li>' for name, _ in present)
    head = "".join(note(f"{name}: {text}", warning=True) for report, name in own for text in _warnings(report))
    nav = f'<nav aria-label="Parts of this page"><ul>{links}</ul></nav>\n'
    return page(title, nav + head + "".join(section(*part) for part in present), {"inputs": data})


def _warnings(report: RunReport) -> list[str]:
    """What a reader has to know before any number."""
    return [_FLOAT_NOISE] * (not report.run.exact) + [_GIVEN] * report.run.nonce_given


def _accuracy(curves: Sequence[Measured]) -> str:
    series = curve_series(curves)
    texts = reading_texts(curves, reading_points(series))
    parts = [curves_svg(series, x_label=_X, y_label=_Y, texts=texts)]
    parts.append(note("Point at the curves, or choose them and use the arrow keys, to read them out in the legend."))
    parts.append(table(OVERVIEW_COLUMNS, overview_rows(curves), numbers=True))
    for metric, (_, meaning) in METRICS.items():
        shown = note(meaning) + table(*metric_table(curves, metric), numbers=True)
        parts.append(folded(f"{metric} at each radius, in numbers", shown))
    return "".join(parts)


def _histogram(report: RunReport, name: str) -> str:
    if not report.results:
        return ""
    rows = histogram_rows(report)
    numbers = folded("the same in numbers", table(HISTOGRAM_COLUMNS, rows, numbers=True))
    return f"<h3>{escape(name)}</h3>\n{histogram_svg(rows, name)}{numbers}"


def _time(report: RunReport, name: str) -> str:
    wanted = report.total * (report.run.n0 + report.run.n)
    size = report.cost.facts() if report.cost else [("size of the network", _recorded_size(report))]
    parts = [f"<h3>{escape(name)}</h3>\n", facts(time_facts(report.timings, wanted) + size)]
    if report.timings:
        where = ("host and engine", "inputs", "samples", "time", "samples per second")
        parts.append(table(where, time_by_place(report.timings), numbers=True))
        what = ("spent on inputs that are", "inputs", "time", "share of the time")
        parts.append(table(what, time_by_outcome(report.timings, report.results), numbers=True))
    return "".join(parts)


def _recorded_size(report: RunReport) -> str:
    """What the run's own record says, and how to learn more."""
    recorded = [(name, report.run.classifier.get(name)) for name in ("parameters", "weights", "macs")]
    known = ", ".join(f"{value:,} {name.replace('macs', 'MACs')}" for name, value in recorded if type(value) is int)
    return f"{known or 'not recorded'}; --model, the network's file, tells more"


def _examples(report: RunReport, name: str) -> str:
    return "".join(f"<h3>{escape(name)}</h3>\n{_example(report, example)}" for example in report.examples)


def _example(report: RunReport, example: Example) -> str:
    named = [_class_name(report, label) for label in example.labels]
    shown = [(example.image, f"input {example.index}")]
    shown += [(copy, f"sample {i}: {label}") for i, (copy, label) in enumerate(zip(example.copies, named, strict=True))]
    pictures = [(data_address(centre(image)), caption) for image, caption in shown]
    figures = "".join(
        f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
        for source, caption in pictures
        if source
    )
    return f'<div class="pictures">{figures}</div>\n' if figures else ""


def _class_name(report: RunReport, label: int) -> str:
    name = report.classes[label] if 0 <= label < len(report.classes) else str(label)
    return str(label) if name == str(label) else f"{label} {name}"


def _inputs(runs: Sequence[RunReport], data: Sequence[dict[str, object]]) -> str:
    notes = dict.fromkeys(report.images_note for report in runs if report.images_note)
    if any(len(report.images) > MOST_PICTURES for report in runs):
        notes[
            f"Pictures of the first {MOST_PICTURES} inputs of each run only: the page stays a file of moderate size."
        ] = None
    without = "<noscript><p>This table needs the page's script. A report in a folder has it as a file.</p></noscript>\n"
    return "".join(map(note, notes)) + inputs_markup(data) + without


def _provenance(own: Sequence[tuple[RunReport, str]], imported: Sequence[ImportedReport]) -> str:
    parts = [f"<h3>{escape(name)}</h3>\n{facts(provenance_facts(report))}" for report, name in own]
    for report in imported:
        known = report.imported
        lines = [
            ("ledger", report.source or "-"),
            ("imported from", known.source),
            ("SHA-256 of that file", known.source_digest),
            ("data, as the importer says", known.data),
            ("sigma, as the importer says", known.sigma or "unknown"),
            ("evidence", "none here: no counts, no noise, no key. Radii are shown as printed and were not re-checked."),
        ]
        parts.append(f"<h3>{escape(report.name)}</h3>\n{facts(lines)}")
    return "".join(parts)


def _meaning(runs: Sequence[RunReport], imported: Sequence[ImportedReport]) -> str:
    parts = [f"<p>{escape(GUARANTEE)}</p>\n<p>{escape(NO_GUARANTEE)}</p>\n"]
    for report, name in zip(runs, curve_names([*runs, *imported]), strict=False):
        parts.append(f"<p>{escape(name)}: {escape(_failures(report))}</p>\n")
    if imported:
        parts.append("<p>Imported results are somebody else's statement; nothing is said about them here.</p>\n")
    return "".join(parts)


def _failures(report: RunReport) -> str:
    """What alpha means for this many inputs: certificates and abstentions alike, since it was fixed before either."""
    run = report.run
    expected = decimal_text(Fraction(run.alpha) * report.total)
    if not run.exact:
        return f"{_FLOAT_NOISE} What follows from them is an approximation that nobody has proved."
    return (
        f"for each of the {report.total} inputs a false certificate has probability at most {run.alpha}; on average at "
        f"most {expected} of the {report.total - report.abstained} certificates are false. Distances are between arrays "
        f"of {' x '.join(map(str, run.shape))} grey levels."
    )
