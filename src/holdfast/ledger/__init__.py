"""The ledger: one SQLite file of runs, certificates and cached labels; resume, merge, check, canonical export."""

from __future__ import annotations

from holdfast.ledger.check import ledger_problems
from holdfast.ledger.export import canonical_export, full_export
from holdfast.ledger.ledger import Entry, Execution, Ledger, mismatch_text
from holdfast.ledger.merge import merge

__all__ = [
    "Entry",
    "Execution",
    "Ledger",
    "canonical_export",
    "full_export",
    "ledger_problems",
    "merge",
    "mismatch_text",
]
