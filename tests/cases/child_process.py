"""Python processes that tests start: they find what the tests find."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["importing"]


def importing(*folders: Path) -> dict[str, str]:
    """This process's environment, and in its ``PYTHONPATH`` these folders and everything that can be imported here."""
    paths = [str(folder) for folder in folders] + sys.path
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
