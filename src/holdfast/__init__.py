"""Certified robustness for the network you actually ship.

Example:
    >>> import holdfast as hf
    >>> table = hf.certify.radius_table(sigma="0.12", n=1000, alpha="0.001")
    >>> int(table[900])
    1163
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast import certify, errors, noise, stats
from holdfast.errors import HoldfastError
from holdfast.records import ABSTAIN, Certificate, Run

if TYPE_CHECKING:
    from holdfast import compression
    from holdfast.intnet import load
    from holdfast.ledger import Ledger
    from holdfast.workflows.smoothed import Smoothed

__version__ = "0.1.0"

__all__ = [
    "ABSTAIN",
    "Certificate",
    "HoldfastError",
    "Ledger",
    "Run",
    "Smoothed",
    "__version__",
    "certify",
    "compression",
    "errors",
    "load",
    "noise",
    "stats",
]


def __getattr__(name: str) -> Any:
    """What needs torch or SQLite is imported when it is first used, so that ``import holdfast`` is quick."""
    if name == "Smoothed":
        from holdfast.workflows.smoothed import Smoothed

        return Smoothed
    if name == "Ledger":
        from holdfast.ledger import Ledger

        return Ledger
    if name == "compression":
        import holdfast.compression as compression

        return compression
    if name == "load":
        from holdfast.intnet import load

        return load
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
