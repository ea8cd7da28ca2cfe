"""The frame of every page: one file, its own style and script, and a policy under which nothing else can run or load."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib import resources
from typing import Any

__all__ = ["page", "script_safe_json"]


def page(title: str, body: str, data: Mapping[str, Any] | None = None) -> str:
    """A whole HTML document that needs no network.

    Its Content-Security-Policy allows exactly the style and the script that are written into it, by their SHA-256, and
    pictures as ``data:`` addresses. So even markup that should not be in ``body`` could neither run nor fetch anything.

    Args:
        title: plain text.
        body: HTML; everything in it that is not markup must already be escaped.
        data: JSON values for the script, such as the rows of a table.

    Example:
        >>> page("5 < 6", "<p>yes</p>").partition("<title>")[2][:13]
        '5 &lt; 6</tit'
    """
    style, script = _static("page.css"), _static("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}</main>\n"
        f'<script type="application/json" id="data">{script_safe_json(data or {})}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def script_safe_json(value: Mapping[str, Any]) -> str:
    """JSON in ASCII without ``<``, ``>`` and ``&``: no text in it can end the element it stands in.

    Example:
        >>> script_safe_json({"name": "</script>"})
        '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=2)
def _static(name: str) -> str:
    return (resources.files("holdfast.report") / name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """An inline element's source expression in a policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
