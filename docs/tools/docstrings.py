"""Griffe extension: docstrings as they are written here, in the words that the generator of the reference knows."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:(?= *$)", re.MULTILINE)
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):(?=`)")


class Docstrings(griffe.Extension):
    """An example becomes a block of code, and a name stands without its Sphinx role."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called once for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub("", EXAMPLE.sub(r"\1Examples:", obj.docstring.value))
