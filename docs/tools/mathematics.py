"""MkDocs hook: formulas become MathML when the site is built, so that a browser needs neither scripts nor the network.

The pages carry TeX between dollar signs, which repositories show as well. A formula that cannot be converted whole
stops the build.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])\s*(?P<tex>.*?)\s*\\[)\]]</(?P=tag)>', re.DOTALL
)
LEFT = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    r">\lfloor<": ">&#x0230A;<",
    r">\rfloor<": ">&#x0230B;<",
    r">\lceil<": ">&#x02308;<",
    r">\rceil<": ">&#x02309;<",
}
"""What the converter leaves: a tilde that is a relation, and brackets after ``\\bigl``."""
NUMBER = re.compile(r"\s*\\tag\{(?P<number>[^}]*)\}")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Replace every formula of a page."""
    return FORMULA.sub(lambda found: mathml(found, page.file.src_uri), html)


def mathml(found: re.Match[str], where: str) -> str:
    """One formula.

    Raises:
        PluginError: something in it is not known to the converter.
    """
    tex = unescape(found["tex"])
    number = NUMBER.search(tex)
    block = found["kind"] == "["
    result = convert(NUMBER.sub("", tex), display="block" if block else "inline")
    for found_there, instead in LEFT.items():
        result = result.replace(found_there, instead)
    if "\\" in result:
        raise PluginError(f"{where}: the formula {tex!r} is not understood: {result}")
    if not block:
        return result
    label = f'<span class="formula-number">({number["number"]})</span>' if number else ""
    return f'<div class="formula">{result}{label}</div>'
