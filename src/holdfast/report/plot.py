"""Step curves as inline SVG, with a legend that reads them out where the pointer, or an arrow key, is."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from itertools import count, groupby
from typing import Any

from holdfast.rounding import cut_text, decimal_text

__all__ = ["COLOURS", "Series", "curves_svg", "reading_points", "round_step"]

COLOURS = 8
"""Series beyond this many begin again with the first colour."""
_READINGS = 100
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 640, 374, 66, 20, 60, 18


@dataclass(frozen=True, slots=True)
class Series:
    """A curve.

    Attributes:
        name: what the legend calls it, plain text.
        corners: (x, y) of every corner, x from 0 upwards and never falling, y in [0, 1].
        dashed: drawn dashed: it was measured elsewhere.
    """

    name: str
    corners: Sequence[tuple[float, float]]
    dashed: bool = False

    def height(self, x: Fraction) -> float:
        """y at x; at a fall, the value before it, as for everything that is certified up to and including a radius."""
        at = bisect_left([corner_x for corner_x, _ in self.corners], x)
        return self.corners[min(at, len(self.corners) - 1)][1]


def reading_points(series: Sequence[Series]) -> list[Fraction]:
    """Where the curves are read out: 101 short decimals, evenly from 0 to the end of the axis."""
    spacing = round_step(_largest(series)) / 20
    return [spacing * i for i in range(_READINGS + 1)]


def curves_svg(
    series: Sequence[Series], *, x_label: str, y_label: str, texts: Sequence[Sequence[str]] | None = None
) -> str:
    """A figure with the curves and a legend, to be put into :func:`holdfast.report.page.page`.

    Args:
        series: the curves, each with at least one corner.
        x_label: under the axis, plain text.
        y_label: beside it.
        texts: what the legend reads out, for each series at each of :func:`reading_points`. The script only looks them
            up. By default the height of the curve itself, cut after four decimals.
    """
    points = reading_points(series)
    heights = [[s.height(x) for x in points] for s in series]
    shown = texts if texts is not None else [[cut_text(y) for y in line] for line in heights]
    readings = {
        "at": [decimal_text(x) for x in points],
        "texts": shown,
        "y": [[round(_y(y), 1) for y in line] for line in heights],
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
    }
    widest = float(points[-1])
    curves = "".join(_curve(s, i, widest) for i, s in enumerate(series))
    dots = "".join(f'<circle class="dot series{i % COLOURS}" r="4.5"/>' for i in range(len(series)))
    cross = f'<g class="cross" visibility="hidden"><line y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>{dots}</g>'
    return (
        f"<figure class=\"plot\" data-readings='{_attribute(readings)}'>\n"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(f"{y_label} against {x_label}")}">'
        f"{_axes(points[-1], x_label, y_label)}{curves}{cross}</svg>\n"
        f"{_legend(series, shown, x_label)}</figure>\n"
    )


def round_step(largest: float) -> Fraction:
    """The smallest round number of which five hold ``largest``, at least 0.001: ticks are where their labels say.

    Example:
        >>> round_step(0.93), round_step(1.6), round_step(0.0)
        (Fraction(1, 5), Fraction(2, 5), Fraction(1, 1000))
    """
    steps = (Fraction(10) ** power * digit for power in count(-3) for digit in (1, 2, 3, 4, 5, 6, 8))
    return next(step for step in steps if 5 * step >= largest)


def _attribute(value: dict[str, Any]) -> str:
    """JSON for an attribute in single quotes."""
    return escape(json.dumps(value, separators=(",", ":")), quote=False).replace("'", "&#39;")


def _largest(series: Sequence[Series]) -> float:
    return max((s.corners[-1][0] for s in series), default=0.0)


def _x(value: float, widest: float) -> float:
    return _LEFT + value / widest * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _axes(end: Fraction, x_label: str, y_label: str) -> str:
    """Grid lines, what they stand for, and the names of the axes."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    middle = (_TOP + bottom) / 2
    parts = []
    for i in range(6):
        share, radius = i / 5, end * i / 5
        y, x = _y(share), _x(float(radius), float(end))
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{decimal_text(radius)}</text>')
    x_middle = (_LEFT + right) / 2
    parts.append(f'<text x="{x_middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'transform="translate(22 {middle}) rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turned}>{escape(y_label)}</text>")
    return "".join(parts)


def _curve(series: Series, number: int, widest: float) -> str:
    """A line through the corners; those that fall on one tenth of a pixel are one."""
    places = groupby(f"{_x(x, widest):.1f},{_y(y):.1f}" for x, y in series.corners)
    points = " ".join(place for place, _ in places)
    return f'<polyline class="curve series{number % COLOURS}{_dash(series)}" points="{points}"/>'


def _dash(series: Series) -> str:
    return " dashed" if series.dashed else ""


def _legend(series: Sequence[Series], texts: Sequence[Sequence[str]], x_label: str) -> str:
    """Names and, in the last column, the reading at the marked point: at first that of 0."""
    rows = "".join(
        f'<tr><td><svg class="swatch" viewBox="0 0 28 10" aria-hidden="true"><line class="curve series{i % COLOURS}'
        f'{_dash(s)}" x1="1" y1="5" x2="27" y2="5"/></svg></td><th scope="row">{escape(s.name)}</th>'
        f'<td class="reading">{escape(texts[i][0])}</td></tr>\n'
        for i, s in enumerate(series)
    )
    return (
        '<figcaption><table class="legend">\n<thead><tr><td></td><th scope="col">curve</th>'
        f'<th scope="col">at {escape(x_label)} <output class="at">0</output></th></tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></figcaption>\n"
    )
