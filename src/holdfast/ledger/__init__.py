"""The ledger: one SQLite file of runs, certificates and cached labels; resume, merge, check, export; published tables."""

from __future__ import annotations

from holdfast.ledger.check import ledger_problems
from holdfast.ledger.export import canonical_export, full_export
from holdfast.ledger.ledger import Entry, Execution, Ledger, check_run, mismatch_text
from holdfast.ledger.merge import merge
from holdfast.ledger.published import read_published
from holdfast.ledger.tables import csv_table, parquet_table, tsv_table

__all__ = [
    "Entry",
    "Execution",
    "Ledger",
    "canonical_export",
    "check_run",
    "csv_table",
    "full_export",
    "ledger_problems",
    "merge",
    "mismatch_text",
    "parquet_table",
    "read_published",
    "tsv_table",
]
