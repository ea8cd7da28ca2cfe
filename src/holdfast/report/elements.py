"""The small parts that pages are put together from. What they return is HTML; what they are given as cells is plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

__all__ = ["anchor", "facts", "folded", "note", "section", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """A table of plain text; it scrolls sideways on its own when it is wider than the page.

    Args:
        header: one text per column.
        rows: as many texts per row.
        numbers: set every column but the first flush right, in digits of equal width.

    Example:
        >>> print(table(["a"], [["<b>"]]), end="")
        <div class="wide" role="region" aria-label="a" tabindex="0"><table>
        <thead><tr><th scope="col">a</th></tr></thead>
        <tbody>
        <tr><td>&lt;b&gt;</td></tr>
        </tbody></table></div>
    """
    kind = ' class="numbers"' if numbers else ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    name = escape(", ".join(header))
    return (
        f'<div class="wide" role="region" aria-label="{name}" tabindex="0"><table{kind}>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>\n"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and their values, plain text, as a table whose first column is its headings."""
    lines = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n' for name, value in pairs)
    return f'<div class="wide"><table class="facts">\n<tbody>\n{lines}</tbody></table></div>\n'


def section(title: str, body: str) -> str:
    """A part of the page under a heading, which its address ends in: ``#`` and the title in lower case with hyphens.

    Args:
        title: plain text.
        body: HTML.

    Example:
        >>> section("What this says", "<p>All.</p>")
        '<section id="what-this-says">\\n<h2>What this says</h2>\\n<p>All.</p></section>\\n'
    """
    return f'<section id="{anchor(title)}">\n<h2>{escape(title)}</h2>\n{body}</section>\n'


def folded(title: str, body: str) -> str:
    """HTML that is shown when its title (plain text) is chosen; printed in any case."""
    return f"<details><summary>{escape(title)}</summary>\n{body}</details>\n"


def note(text: str, warning: bool = False) -> str:
    """A remark in plain text that stands out a little, or, as a warning, more."""
    return f'<p class="{"warning" if warning else "note"}">{escape(text)}</p>\n'


def anchor(title: str) -> str:
    """What the address of a section ends in, after ``#``.

    Example:
        >>> anchor("What this says")
        'what-this-says'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
