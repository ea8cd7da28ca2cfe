"""Merging ledgers: inputs certified on different hosts come together; counts are never pooled."""

from __future__ import annotations

from holdfast.errors import LedgerConflictError
from holdfast.ledger.ledger import Ledger

__all__ = ["merge"]


def merge(target: Ledger, source: Ledger) -> int:
    """Copy what ``source`` has and ``target`` lacks, published results included.

    Returns:
        Number of certificates added.

    Raises:
        LedgerConflictError: both have an entry for one input of one run and the two differ, or other published results
            under one name; ``target`` keeps its own.
        LedgerError: ``source`` is damaged.
    """
    added = 0
    for run in source.runs():
        target.add_run(run)
        known = {entry.index: entry for entry in target.entries(run)}
        mine, theirs = target.label_digests(run), source.label_digests(run)
        timings = {e.index: e for e in source.executions(run)}
        for entry in source.entries(run):
            if entry.index in known:
                if known[entry.index] != entry or mine.get(entry.index) != theirs.get(entry.index):
                    raise LedgerConflictError(
                        f"{source.path}: run {run.id}, input {entry.index} differs from {target.path}"
                    )
                continue
            labels = source.labels(run, entry.index)
            target.record(run, entry.label, entry.certificate, *labels, timings.get(entry.index))
            added += 1
    for published in source.imported():
        target.add_imported(published)
    return added
