"""Whether a ledger is consistent in itself: structure, checksums, counts. Whether its claims hold is ``verify``'s."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.errors import LedgerError
from holdfast.ledger.imported import imported_digest
from holdfast.ledger.ledger import Entry, Ledger
from holdfast.records import Run, Tally

__all__ = ["ledger_problems"]


def ledger_problems(ledger: Ledger) -> Iterator[str]:
    """Every inconsistency, one sentence each; nothing when the ledger is clean."""
    yield from ledger.integrity()
    for published, stored in ledger.imported_rows():
        if imported_digest(published) != stored:
            yield f"the published results {published.name!r} were changed after they were put here"
    for stored, run in ledger.run_rows():
        if run.id != stored:
            yield f"the record of run {stored} was changed: its content gives the id {run.id}"
            continue
        orphans = ledger.rows(
            "SELECT idx FROM inputs WHERE run=? AND idx NOT IN (SELECT idx FROM certificates WHERE run=?)",
            (run.id, run.id),
        )
        yield from (f"run {run.id}, input {index}: recorded without a certificate" for (index,) in orphans)
        for entry in ledger.entries(run):
            yield from (f"run {run.id}, input {entry.index}: {text}" for text in _entry_problems(ledger, run, entry))


def _entry_problems(ledger: Ledger, run: Run, entry: Entry) -> Iterator[str]:
    certificate = entry.certificate
    if not 0 <= entry.label < run.num_classes:
        yield f"true label {entry.label} is outside the {run.num_classes} classes"
    try:
        selection, estimation = ledger.labels(run, entry.index)
    except LedgerError as error:
        yield str(error)
        return
    for name, labels, counts in (
        ("selection", selection, certificate.selection_counts),
        ("estimation", estimation, certificate.counts),
    ):
        if int(labels.max()) >= run.num_classes or Tally.of(labels, run.num_classes).counts != counts:
            yield f"the cached {name} labels do not give the counts of the certificate"
