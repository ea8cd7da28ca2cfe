"""The report as one self-contained HTML page: no script, no network, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from html import escape
from itertools import count

from holdfast.report.content import GUARANTEE, NO_GUARANTEE, RunReport
from holdfast.rounding import decimal_text, radius_text, truncated_text

__all__ = ["html_report"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --line: #2b6cb0; --grid: #8884; }
@media (prefers-color-scheme: dark) { :root { --line: #7ab8f5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid var(--grid); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; max-width: 44rem; }
svg text { fill: currentColor; font-size: 12px; }
.curve { fill: none; stroke: var(--line); stroke-width: 2; }
.grid { stroke: var(--grid); }
.warning { border-left: .3rem solid #c53030; padding-left: .7rem; }
"""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 640, 360, 50, 24, 40, 10


def html_report(title: str, runs: Sequence[RunReport]) -> str:
    """A page with one section per run: headline, curve, table of radii, table of inputs."""
    body = "".join(_section(report) for report in runs)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}"
        f"<h2>What this says</h2>\n<p>{escape(GUARANTEE)}</p>\n<p>{escape(NO_GUARANTEE)}</p>\n</body>\n</html>\n"
    )


def _section(report: RunReport) -> str:
    warning = (
        "" if report.run.exact else '<p class="warning">Float noise: these radii are outside the exact guarantee.</p>\n'
    )
    inputs = [
        (
            str(c.index),
            str(label),
            "abstain" if c.abstained else str(c.label),
            radius_text(c.radius_sq_px),
            truncated_text(Fraction(c.p_lower), 6),
        )
        for label, c in report.results
    ]
    return (
        f"<h2>Run {escape(report.run.id)}</h2>\n{warning}{_table(('fact', 'value'), report.headline())}{_svg(report)}"
        f"{_table(('radius', 'certified accuracy', 'certified percentage'), report.table(), numbers=True)}"
        f"<details><summary>{len(inputs)} inputs</summary>\n"
        f"{_table(('index', 'label', 'predicted', 'radius', 'p lower'), inputs, numbers=True)}</details>\n"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    kind = ' class="number"' if numbers else ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table>\n"


def _round_step(largest: float) -> Fraction:
    """The smallest of 0.001, 0.002, 0.005, 0.01, ... of which five hold ``largest``: ticks are where their labels say."""
    steps = (Fraction(10) ** power * digit for power in count(-3) for digit in (1, 2, 5))
    return next(step for step in steps if 5 * step >= largest)


def _svg(report: RunReport) -> str:
    """Certified accuracy against radius as an inline drawing with axes."""
    corners = report.curve()
    step = _round_step(corners[-1][0])
    widest = float(5 * step)

    def at(radius: float, accuracy: float) -> str:
        x = _LEFT + radius / widest * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - accuracy * (_HEIGHT - _BOTTOM - _TOP)
        return f"{x:.1f},{y:.1f}"

    def label(place: str, text: str, dx: int, dy: int, anchor: str) -> str:
        x, y = (float(v) for v in place.split(","))
        return f'<text x="{x + dx:.1f}" y="{y + dy:.1f}" text-anchor="{anchor}">{text}</text>'

    shares = [i / 5 for i in range(6)]
    grid = "".join(f'<polyline class="grid" points="{at(0, a)} {at(widest, a)}"/>' for a in shares)
    ticks = "".join(label(at(0, a), f"{a:.1f}", -6, 4, "end") for a in shares)
    ticks += "".join(label(at(float(step * i), 0), decimal_text(step * i), 0, 16, "middle") for i in range(6))
    curve = f'<polyline class="curve" points="{" ".join(at(*corner) for corner in corners)}"/>'
    caption = label(at(widest / 2, 0), "L2 radius (image units)", 0, 34, "middle")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="certified accuracy against radius">'
        f"{grid}{ticks}{curve}{caption}</svg>\n"
    )
