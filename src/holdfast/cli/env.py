"""``holdfast env``."""

from __future__ import annotations

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

__all__ = ["env"]


def env(json: JsonOption = False) -> None:
    """What this installation is and has: versions, processor, native parts. Paste it into a bug report.

    Example: holdfast env --json
    """
    from holdfast.workflows.environment import facts

    found = facts()
    if json:
        print_json(found)
        return
    width = max(map(len, found))
    for key, value in found.items():
        print_line(f"{key:{width}}  {value}")
