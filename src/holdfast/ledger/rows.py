"""Records as rows and back. A row is read as if hostile: what comes out has the types and ranges its name promises."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from pydantic import TypeAdapter, ValidationError

from holdfast.ledger.labels import MOST_LABELS
from holdfast.records import Certificate, Run

__all__ = ["Entry", "certificate_columns", "read_entry", "read_run", "run_body"]

_RUN = TypeAdapter(Run)
_COUNTS = TypeAdapter(tuple[int, ...])
_NUMBER = re.compile(r"[0-9]{1,60}(\.[0-9]{1,60})?|[0-9]{1,600}/[1-9][0-9]{0,600}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """An input of a run with its certificate."""

    index: int
    label: int
    digest: str
    certificate: Certificate


def run_body(run: Run) -> str:
    """A run as JSON text with sorted keys."""
    return json.dumps(asdict(run), sort_keys=True)


def read_run(body: str) -> Run:
    """The run of a JSON text.

    Raises:
        ValueError: a field is missing, has another type, or a value that no run has.
    """
    try:
        run = _RUN.validate_json(body)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} fields do not fit") from None
    for name, text in (("sigma", run.sigma), ("alpha", run.alpha), ("epsilon", run.epsilon)):
        _require(bool(_NUMBER.fullmatch(text)), f"{name} is no number")
    _require(all(_NUMBER.fullmatch(part) for part in run.alpha_split), "a part of alpha is no number")
    _require(Fraction(run.sigma) > 0, "sigma is not positive")
    _require(bool(_DIGEST.fullmatch(run.nonce)), "its nonce is not 64 hexadecimal digits")
    _require(2 <= run.num_classes <= 1 << 16, f"it has {run.num_classes} classes")
    _require(len(run.shape) == 3 and min(run.shape) > 0, f"images of shape {run.shape}")
    _require(1 <= run.n0 <= run.n <= MOST_LABELS, f"n0={run.n0} and n={run.n}; at most {MOST_LABELS} labels are kept")
    _require(bool(run.id), "no id")  # its classifier's facts must be JSON values
    return run


def certificate_columns(c: Certificate) -> tuple[Any, ...]:
    """A certificate as the columns of its table, without the key."""
    return (
        c.label, c.radius_sq_px, repr(c.p_lower), repr(c.p_upper), json.dumps(c.selection_counts), json.dumps(c.counts)
    )  # fmt: skip


def read_entry(run: Run, row: Sequence[Any]) -> Entry:
    """An input and its certificate from index, true label, digest and :func:`certificate_columns`.

    Raises:
        ValueError: a value has another type, is not finite, or there are not as many counts as classes.
    """
    index, true_label, digest, label, radius_sq, p_lower, p_upper, *texts = row
    _require(all(type(v) is int for v in (index, true_label, label, radius_sq)), "an integer is none")
    _require(index >= 0 and bool(_DIGEST.fullmatch(digest)), "its index or its digest is none")
    probabilities = [float(p_lower), float(p_upper)]
    _require(all(0 <= p <= 1 for p in probabilities), "a probability is none")
    try:
        selection, counts = (_COUNTS.validate_json(text) for text in texts)
    except ValidationError:
        raise ValueError("its counts are not a list of integers") from None
    _require(len(selection) == len(counts) == run.num_classes, f"not one count for each of {run.num_classes} classes")
    certificate = Certificate(
        run=run.id, index=index, digest=digest, label=label, radius_sq_px=radius_sq,
        p_lower=probabilities[0], p_upper=probabilities[1], selection_counts=selection, counts=counts,
    )  # fmt: skip
    return Entry(index, true_label, digest, certificate)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
