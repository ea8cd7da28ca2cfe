"""The command line: one thin file per verb."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``holdfast``: a user's mistake is one line and exit code 2, never a traceback."""
    from holdfast.cli.app import run

    sys.exit(run())
