"""What tests of the native engine share: the instruction sets of this machine, and a mark for tests that need any."""

from __future__ import annotations

import pytest

from holdfast.engine.native import isas

__all__ = ["HERE", "NEEDED"]

HERE = tuple(name for name, supported in isas().items() if supported)
"""Instruction sets that this build and this machine have, slowest first."""
NEEDED = pytest.mark.skipif(not HERE, reason="holdfast._native was not built (no C++ compiler at installation)")
