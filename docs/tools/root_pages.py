"""MkDocs hook: pages that stand at the root of the repository, and links that hold there as well as on the site.

The glossary, the changelog and the contributing page are written where everybody looks for them, beside the README.
Here they enter the site, and links between them and the pages under ``docs`` are turned to where the pages stand there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {
    "GLOSSARY.md": "glossary.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.txt",
}
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?=[)#])")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root."""
    for name, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page, code excepted."""
    uri = page.file.src_uri
    source = {site: root for root, site in PAGES.items()}.get(uri, f"docs/{uri}")
    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(lambda link: turned(link["path"], source, uri), part) for part in parts[::2]]
    return "".join(parts)


def turned(link: str, source: str, uri: str) -> str:
    """A link as it has to be on the site.

    Args:
        link: as it is written in the file.
        source: the file, relative to the root of the repository.
        uri: the page, relative to ``docs``.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if target not in PAGES and source.startswith("docs/"):
        return link
    there = PAGES.get(target, target.removeprefix("docs/"))
    return posixpath.relpath(there, posixpath.dirname(uri) or ".")
