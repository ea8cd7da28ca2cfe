"""``holdfast ledger export``: the form, and whether it can hold what is asked for."""

from __future__ import annotations

from holdfast.errors import ParameterError
from holdfast.ledger import Ledger, canonical_export, csv_table, full_export, parquet_table, tsv_table
from holdfast.records import Run

__all__ = ["FORMATS", "exported", "single_run"]

FORMATS = ("json", "tsv", "csv", "parquet")


def exported(
    ledger: Ledger, form: str, *, run: str | None = None, canonical: bool = False, to_file: bool = False
) -> bytes:
    """A ledger in one of :data:`FORMATS`.

    Args:
        ledger: open.
        form: ``json`` for everything, else a table of certificates.
        run: id or its beginning; a table of only this run.
        canonical: the form of JSON in which equal ledgers are equal bytes.
        to_file: whether the bytes go to a file: Parquet is nothing to look at.

    Raises:
        ParameterError: an unknown form, or one that cannot hold what is asked for.
    """
    if form not in FORMATS:
        raise ParameterError(f"unknown format {form!r}; known: {', '.join(FORMATS)}")
    if form == "json":
        if run is not None:
            raise ParameterError("--run is for tables; JSON holds the whole ledger")
        return canonical_export(ledger) if canonical else full_export(ledger)
    if canonical:
        raise ParameterError(f"--canonical is a form of JSON, not of {form}")
    if form == "tsv":
        return tsv_table(ledger, single_run(ledger, run))
    runs = [ledger.run(run)] if run is not None else ledger.runs()
    if form == "csv":
        return csv_table(ledger, runs)
    if not to_file:
        raise ParameterError("Parquet is binary: name a file with --out")
    return parquet_table(ledger, runs)


def single_run(ledger: Ledger, run: str | None) -> Run:
    """The run asked for, or the only one.

    Raises:
        ParameterError: none was named and there is none or more than one; names them.
        LedgerError: no run, or more than one, has an id that begins so.
    """
    if run is not None:
        return ledger.run(run)
    runs = ledger.runs()
    if len(runs) != 1:
        known = ", ".join(r.id for r in runs)
        raise ParameterError(
            f"{ledger.path}: {len(runs)} runs; choose one by --run: {known}" if runs else f"{ledger.path}: no run"
        )
    return runs[0]
