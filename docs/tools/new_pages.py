"""MkDocs hook: a page that the navigation in ``mkdocs.yml`` does not name comes last in the part its folder belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
PARTS = {"Tutorial": "tutorial", "How to": "how-to", "Commands": "guide", "Theory": "theory", "Project": "design"}


def on_config(config: Any) -> None:
    """Add such pages, under their own headings."""
    for item in config.nav:
        for name, part in item.items():
            if name in PARTS:
                part += [page for page in sorted(pages(PARTS[name])) if page not in named(part)]


def pages(folder: str) -> list[str]:
    """The pages in a folder of the documentation."""
    return [path.relative_to(DOCS).as_posix() for path in (DOCS / folder).glob("*.md")]


def named(part: list[Any]) -> set[str]:
    """The pages that a part of the navigation names."""
    return {page for item in part for page in (item.values() if isinstance(item, dict) else [item])}
