"""The command line: one thin file per verb."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``holdfast``: a user's mistake is one line and exit code 2, never a traceback.

    After Ctrl-C the process leaves at once: taking torch down can take seconds, and Python may otherwise report the
    signal instead of the exit code (when it arrived inside generated code).
    """
    from holdfast.cli.app import INTERRUPTED, run

    code = run()
    if code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
