"""Reading the table in which the field publishes certificates: one line per input, columns separated by tabs.

::

    idx     label   predict radius  correct time
    0       3       3       1.24    1       0:00:14.123456
    20      5       -1      0.0     0       0:00:13.998877

Written by the certification script of Cohen et al. and by most that came after. ``predict`` is -1 for an abstention.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from pathlib import Path

from holdfast.errors import LedgerError, ParameterError
from holdfast.ledger.imported import checked, radius_of
from holdfast.records import ABSTAIN, ImportedResult, ImportedRun
from holdfast.rounding import decimal_text, exact_decimal

__all__ = ["COLUMNS", "read_published"]

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
_NEEDED = COLUMNS[:5]
_MOST_BYTES = 64 * 2**20
_MOST_COLUMNS = 100
_WHOLE = re.compile(r"-1|[0-9]{1,9}")
_SHOWN = 60
"""Characters of a strange value that an error message repeats."""


def read_published(path: Path, *, name: str, data: str, sigma: str | None = None) -> ImportedRun:
    """Published results from a table.

    The radii are taken as they were printed. Many tables print them rounded to nearest, so they may be a little larger
    than what was proved; and nothing in such a table can be checked here.

    Args:
        path: the file: UTF-8, a line of column names, among them ``idx``, ``label``, ``predict``, ``radius`` and
            ``correct``; others are ignored.
        name: what to call them in reports.
        data: name of the data set that ``idx`` counts in.
        sigma: scale of the noise in [0, 1] image units, a decimal; None if unknown.

    Raises:
        LedgerError: the file is not such a table, or a line contradicts itself; names the line.
        ParameterError: a name that cannot be printed, or a sigma that is none.
    """
    text, digest = _read(path)
    lines = text.removesuffix("\n").split("\n")
    places = _places(path, lines[0].removesuffix("\r"))
    results = [_result(f"{path}, line {i}", line.removesuffix("\r"), places) for i, line in enumerate(lines[1:], 2)]
    if not results:
        raise LedgerError(f"{path}: names of columns and no results")
    results.sort(key=lambda result: result.index)
    for one, next_one in pairwise(results):
        if one.index == next_one.index:
            raise LedgerError(f"{path}: input {one.index} is there more than once; nothing says which line holds")
    scale = "" if sigma is None else decimal_text(exact_decimal(sigma, "sigma"))
    published = ImportedRun(
        name=name, source=path.name, source_digest=digest, data=data, sigma=scale, results=tuple(results)
    )
    try:
        return checked(published)
    except ValueError as error:
        raise ParameterError(f"{path} cannot be imported as {name!r}: {error}") from error


def _read(path: Path) -> tuple[str, str]:
    """A file's text, and the hex SHA-256 of its bytes."""
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise LedgerError(f"{path}: a table of more than {_MOST_BYTES} bytes; refused")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LedgerError(f"{path}: not a text file (byte {error.start} is no UTF-8)") from error
    if "\0" in text:
        raise LedgerError(f"{path}: not a text file (it contains a zero byte)")
    return text, hashlib.sha256(raw).hexdigest()


def _places(path: Path, header: str) -> dict[str, int]:
    """Where each column is, and how many there are under ``""``."""
    names = header.split("\t")
    missing = [column for column in _NEEDED if names.count(column) != 1]
    if missing or len(names) > _MOST_COLUMNS:
        raise LedgerError(
            f"{path}: not a table of certificates: its first line must name the columns {', '.join(_NEEDED)} once each, "
            f"separated by tabs, and is {header[:_SHOWN]!r}"
        )
    return {column: names.index(column) for column in _NEEDED} | {"": len(names)}


def _result(where: str, line: str, places: dict[str, int]) -> ImportedResult:
    cells = line.split("\t")
    if len(cells) != places[""]:
        raise LedgerError(
            f"{where}: {len(cells)} columns, but the first line names {places['']} (was the file cut off?)"
        )
    index, label, predict, correct = (
        _whole(where, column, cells[places[column]]) for column in ("idx", "label", "predict", "correct")
    )
    radius = cells[places["radius"]].strip()
    if index < 0 or label < 0:
        raise LedgerError(f"{where}: idx {index} and label {label}; neither can be negative")
    if correct != (predict == label):
        raise LedgerError(f"{where}: contradicts itself: label {label}, predict {predict}, but correct {correct}")
    try:
        size = radius_of(radius)
    except ValueError as error:
        raise LedgerError(f"{where}: {error}") from error
    if predict == ABSTAIN and size != 0:
        raise LedgerError(f"{where}: contradicts itself: it abstains, but has radius {radius}")
    return ImportedResult(index, label, predict, radius if predict != ABSTAIN else "0")


def _whole(where: str, column: str, cell: str) -> int:
    if not _WHOLE.fullmatch(cell.strip()):
        raise LedgerError(f"{where}: {column} is {cell[:_SHOWN]!r}, not a whole number")
    return int(cell)
