"""How probable the selected classes are: a histogram of p_A, of its proved lower limit."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from html import escape

from holdfast.report.content import RunReport
from holdfast.report.timings import outcome_name
from holdfast.rounding import decimal_text

__all__ = ["BINS", "HISTOGRAM_COLUMNS", "histogram_rows", "histogram_svg"]

BINS = 20
HISTOGRAM_COLUMNS = ("p lower from", "to", "right", "wrong", "abstained")
_CLASSES = {"right": "right-bar", "wrong": "wrong-bar", "abstained": "none-bar"}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 640, 234, 64, 20, 52, 18


def histogram_rows(report: RunReport) -> list[tuple[str, str, str, str, str]]:
    """Inputs whose ``p_lower`` lies in each twentieth of [0, 1], by outcome. The last twentieth holds 1 itself."""
    counts = Counter(
        (min(int(Fraction(c.p_lower) * BINS), BINS - 1), outcome_name(label, c)) for label, c in report.results
    )
    rows = []
    for i in range(BINS):
        right, wrong, abstained = (str(counts[i, name]) for name in _CLASSES)
        start, end = (decimal_text(Fraction(place, BINS)) for place in (i, i + 1))
        rows.append((start, end, right, wrong, abstained))
    return rows


def histogram_svg(rows: list[tuple[str, str, str, str, str]], name: str) -> str:
    """The rows as stacked bars; each says its number when the pointer rests on it.

    Args:
        rows: of :func:`histogram_rows`.
        name: of the run, plain text.
    """
    tallest = max(sum(map(int, row[2:])) for row in rows) or 1
    wide, high, floor = (_WIDTH - _LEFT - _RIGHT) / BINS, _HEIGHT - _BOTTOM - _TOP, _HEIGHT - _BOTTOM
    parts = [f'<line class="grid" x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _RIGHT}" y2="{floor}"/>']
    for i, (start, end, *numbers) in enumerate(rows):
        y = float(floor)
        for outcome, number in zip(_CLASSES, map(int, numbers), strict=True):
            y -= number / tallest * high
            if number:
                place = f'x="{_LEFT + i * wide + 1:.1f}" y="{y:.1f}" width="{wide - 2:.1f}"'
                title = f"<title>{start} to {end}: {number} {outcome}</title>"
                bar = f'{place} height="{number / tallest * high:.1f}"'
                parts.append(f'<rect class="{_CLASSES[outcome]}" {bar}>{title}</rect>')
    parts += [_text(_LEFT + i * wide, floor + 20, decimal_text(Fraction(i, BINS))) for i in range(0, BINS + 1, 4)]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, "lower limit of p_A"))
    parts.append(_text(_LEFT - 6, _TOP + 4, str(tallest), "end"))
    parts.append(_text(_LEFT - 6, floor + 4, "0", "end"))
    label = escape(f"histogram of the lower limit of p_A: {name}")
    return (
        f'<figure class="bars"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}'
        f"</svg>\n<figcaption>{_legend()}</figcaption></figure>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _legend() -> str:
    """Which colour is which outcome."""
    return ", ".join(
        f'<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true"><rect class="{kind}" width="28" height="10"/></svg> {name}'
        for name, kind in _CLASSES.items()
    )
