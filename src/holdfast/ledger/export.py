"""A ledger as JSON. In the canonical form two ledgers are the same exactly when the bytes are equal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from holdfast.digest import canonical_json
from holdfast.ledger.ledger import Ledger
from holdfast.records import Run

__all__ = ["canonical_export", "full_export"]

_VERSION = 1
"""Of this form, whatever the version of the file that the ledger is kept in."""


def canonical_export(ledger: Ledger) -> bytes:
    """Sorted JSON of runs, inputs, certificates and the SHA-256 of the cached labels; no execution facts.

    Independent of the order of work, of resumes, hosts and speed, and of published results that were put beside the runs:
    it is what was computed. Ends with a newline.
    """
    return canonical_json(_document(ledger)) + b"\n"


def full_export(ledger: Ledger) -> bytes:
    """The canonical content, indented, with what was computed where and how fast, and the published results beside it."""
    document = _document(ledger)
    for run, form in zip(_runs(ledger), document["runs"], strict=True):
        form["execution"] = [asdict(execution) for execution in ledger.executions(run)]
    document["imported"] = [asdict(published) for published in ledger.imported()]
    return json.dumps(document, sort_keys=True, indent=2).encode() + b"\n"


def _runs(ledger: Ledger) -> list[Run]:
    return sorted(ledger.runs(), key=lambda run: run.id)


def _document(ledger: Ledger) -> dict[str, Any]:
    return {"format": "holdfast-ledger", "version": _VERSION, "runs": [_run_form(ledger, run) for run in _runs(ledger)]}


def _run_form(ledger: Ledger, run: Run) -> dict[str, Any]:
    digests = ledger.label_digests(run)
    inputs = [
        {
            "index": entry.index,
            "label": entry.label,
            "digest": entry.digest,
            "certificate": asdict(entry.certificate),
            "labels": digests.get(entry.index, {}),
        }
        for entry in ledger.entries(run)
    ]
    return {"id": run.id, "run": asdict(run), "inputs": inputs}
