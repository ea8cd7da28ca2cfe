"""Published results as rows and back: kept beside one's own runs, never mistaken for them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from holdfast.digest import json_digest
from holdfast.ledger.connection import hold_imported, holds_imported
from holdfast.records import ABSTAIN, ImportedResult, ImportedRun

__all__ = ["LARGEST_RADIUS", "checked", "imported_digest", "insert_imported", "radius_of", "read_imported"]

LARGEST_RADIUS = 1000
"""In image units. The longest way through an image of 3 x 500 x 500 pixels is 866."""

_TEXT = 200
_SHOWN = 60
"""Characters of a strange value that an error message repeats."""
_LARGEST = 1 << 31
_RADIUS = re.compile(r"[0-9]{1,12}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,2})?|\.[0-9]{1,40}")
_SIGMA = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?|[0-9]{1,40}/[1-9][0-9]{0,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def imported_digest(published: ImportedRun) -> str:
    """Hex SHA-256 of everything that is kept about published results: a record that was changed has another one."""
    return json_digest(asdict(published)).hex()


def checked(published: ImportedRun) -> ImportedRun:
    """The same, if it is something that could have been published.

    Raises:
        ValueError: a name that cannot be printed, a radius that is no length, an index that is there twice.
    """
    for what in ("name", "source", "data"):
        text = getattr(published, what)
        _require(0 < len(text) <= _TEXT and text.isprintable(), f"its {what} is not a line of 1 to {_TEXT} characters")
    _require(bool(_DIGEST.fullmatch(published.source_digest)), "the digest of its source is not 64 hexadecimal digits")
    known = published.sigma != ""
    _require(not known or bool(_SIGMA.fullmatch(published.sigma)), "sigma is no number")
    _require(not known or Fraction(published.sigma) > 0, "sigma is not positive")
    _require(len(published.results) > 0, "it has no results")
    before = -1
    for result in published.results:
        _require(type(result.index) is int and before < result.index < _LARGEST, "its inputs are not numbered upwards")
        _check_result(result)
        before = result.index
    return published


def _check_result(result: ImportedResult) -> None:
    name = f"input {result.index}"
    _require(type(result.label) is int and 0 <= result.label < _LARGEST, f"{name}: its true label is none")
    prediction = type(result.prediction) is int and ABSTAIN <= result.prediction < _LARGEST
    _require(prediction, f"{name}: its prediction is neither a class nor {ABSTAIN}")
    radius_of(result.radius)
    _require(result.prediction != ABSTAIN or result.radius == "0", f"{name}: it abstains and has a radius")


def radius_of(text: str) -> Fraction:
    """A printed radius as an exact number, in image units.

    Raises:
        ValueError: it is no length, or longer than any image is wide.

    Example:
        >>> radius_of("0.245"), radius_of("5e-05")
        (Fraction(49, 200), Fraction(1, 20000))
    """
    _require(bool(_RADIUS.fullmatch(text)), f"radius {text[:_SHOWN]!r} is no length")
    radius = Fraction(text)
    _require(radius <= LARGEST_RADIUS, f"radius {text[:_SHOWN]} is more than {LARGEST_RADIUS} image units")
    return radius


def insert_imported(connection: sqlite3.Connection, published: ImportedRun) -> bool:
    """Insert what :func:`checked` lets pass, inside a transaction; whether it was not there before.

    Raises:
        ValueError: other results have this name.
    """
    digest = imported_digest(published)
    hold_imported(connection)
    found = connection.execute("SELECT digest FROM imported WHERE name=?", (published.name,)).fetchone()
    if found is not None:
        _require(found == (digest,), f"other published results are here under the name {published.name!r}")
        return False
    p = published
    connection.execute(
        "INSERT INTO imported(name, source, source_digest, data, sigma, digest) VALUES(?,?,?,?,?,?)",
        (p.name, p.source, p.source_digest, p.data, p.sigma, digest),
    )
    rows = [(p.name, r.index, r.label, r.prediction, r.radius) for r in p.results]
    connection.executemany("INSERT INTO imported_results VALUES(?,?,?,?,?)", rows)
    return True


def read_imported(connection: sqlite3.Connection) -> Iterable[tuple[ImportedRun, str]]:
    """Published results in the order in which they came, each with the digest under which it was kept.

    Raises:
        ValueError: a record is damaged.
    """
    if not holds_imported(connection):
        return
    heads = connection.execute(
        "SELECT name, source, source_digest, data, sigma, digest FROM imported ORDER BY position"
    ).fetchall()
    for name, source, source_digest, data, sigma, digest in heads:
        results = tuple(ImportedResult(*row) for row in _results(connection, name))
        published = ImportedRun(
            name=name, source=source, source_digest=source_digest, data=data, sigma=sigma, results=results
        )
        try:
            yield checked(published), digest
        except ValueError as error:
            raise ValueError(f"the published results {name!r} are damaged ({error})") from error


def _results(connection: sqlite3.Connection, name: str) -> list[tuple[Any, ...]]:
    query = "SELECT idx, label, prediction, radius FROM imported_results WHERE name=? ORDER BY idx"
    return connection.execute(query, (name,)).fetchall()


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
