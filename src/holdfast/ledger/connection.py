"""Opening a ledger file: SQLite in WAL mode with synchronous=FULL, and its errors in our words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import LedgerError, LedgerFullError, LedgerLockedError, LedgerVersionError

__all__ = ["VERSION", "hold_imported", "holds_imported", "open_database", "transaction", "translated"]

APPLICATION_ID = 0x686F6C64  # "hold"
VERSION = 2
"""The newest that is read. A file becomes one of version 2 only when published results are put into it."""

_WAIT_SECONDS = 5.0

_RUNS = """
CREATE TABLE runs(position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
CREATE TABLE inputs(
  run TEXT NOT NULL REFERENCES runs(id), idx INTEGER NOT NULL, label INTEGER NOT NULL, digest TEXT NOT NULL,
  PRIMARY KEY(run, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE certificates(
  run TEXT NOT NULL, idx INTEGER NOT NULL, label INTEGER NOT NULL, radius_sq_px INTEGER NOT NULL,
  p_lower TEXT NOT NULL, p_upper TEXT NOT NULL, selection_counts TEXT NOT NULL, counts TEXT NOT NULL,
  PRIMARY KEY(run, idx), FOREIGN KEY(run, idx) REFERENCES inputs(run, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE labels(
  run TEXT NOT NULL, idx INTEGER NOT NULL, purpose TEXT NOT NULL, body BLOB NOT NULL, sha256 TEXT NOT NULL,
  PRIMARY KEY(run, idx, purpose), FOREIGN KEY(run, idx) REFERENCES inputs(run, idx)) STRICT;
CREATE TABLE partial(
  run TEXT NOT NULL REFERENCES runs(id), idx INTEGER NOT NULL, purpose TEXT NOT NULL, start INTEGER NOT NULL,
  body BLOB NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY(run, idx, purpose, start)) STRICT;
CREATE TABLE execution(
  position INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs(id), idx INTEGER NOT NULL,
  samples INTEGER NOT NULL, seconds REAL NOT NULL, host TEXT NOT NULL, engine TEXT NOT NULL, finished TEXT NOT NULL) STRICT;
"""
_IMPORTED = """
CREATE TABLE imported(
  position INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, source TEXT NOT NULL, source_digest TEXT NOT NULL,
  data TEXT NOT NULL, sigma TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
CREATE TABLE imported_results(
  name TEXT NOT NULL REFERENCES imported(name), idx INTEGER NOT NULL, label INTEGER NOT NULL, prediction INTEGER NOT NULL,
  radius TEXT NOT NULL, PRIMARY KEY(name, idx)) STRICT, WITHOUT ROWID;
"""
_STATEMENTS = tuple([part.strip() for part in text.split(";") if part.strip()] for text in (_RUNS, _IMPORTED))
"""What each version added."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ledger errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerLockedError(
                f"{path}: another process is writing to this ledger; wait for it to end, or use another ledger and merge"
            ) from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise LedgerFullError(
                f"{path}: the disk is full or cannot be written ({error}); what was recorded is intact: "
                "free some space and run the same command again"
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise LedgerError(f"{path}: cannot be opened for writing here ({error})") from error
        raise LedgerError(f"{path}: not a readable ledger ({error})") from error


def open_database(path: Path, create: bool) -> sqlite3.Connection:
    """A connection to a ledger of this version; creates the file when asked to, and reads one that is write-protected.

    Raises:
        LedgerError: the file is missing, or is something else.
        LedgerVersionError: a newer holdfast wrote it.
        LedgerLockedError: another process holds it.
    """
    if path.is_dir():
        raise LedgerError(f"{path}: this is a folder, not a ledger")
    if not create and not path.exists():
        raise LedgerError(f"{path}: no such ledger")
    exists = path.exists() and path.stat().st_size > 0
    if not exists and not create:
        raise LedgerError(f"{path}: an empty file, not a ledger")
    if exists and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return _open_read_only(path)
    with translated(path):
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            _check_kind(connection, path, exists)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            _create_tables(connection)
            _check_tables(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _open_read_only(path: Path) -> sqlite3.Connection:
    """A ledger that this user may read but not change, as evidence handed over often is.

    Beside a journal with entries that are not yet in the file it is read with them, never without.
    """
    journal = path.with_name(path.name + "-wal")
    how = "mode=ro" if journal.exists() and journal.stat().st_size else "mode=ro&immutable=1"
    with translated(path):
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?{how}", timeout=_WAIT_SECONDS, uri=True, isolation_level=None
        )
        try:
            _check_kind(connection, path, exists=True)
            _check_tables(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path, exists: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if exists and application != APPLICATION_ID and not (application == 0 and empty):
        raise LedgerError(f"{path}: an SQLite database, but not a holdfast ledger")
    if version > VERSION:
        raise LedgerVersionError(
            f"{path}: written by a newer holdfast (ledger version {version}, this one reads {VERSION})"
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _create_tables(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if _version(connection) >= 1:
            return
        for statement in _STATEMENTS[0]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("PRAGMA user_version=1")


def holds_imported(connection: sqlite3.Connection) -> bool:
    """Whether the file has the tables for published results."""
    return _version(connection) >= 2


def hold_imported(connection: sqlite3.Connection) -> None:
    """Make room for published results, inside a transaction: a file of version 1 becomes one of version 2."""
    if not holds_imported(connection):
        for statement in _STATEMENTS[1]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version=2")


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse tables other than ours: without their types, or with triggers, nothing read from them could be relied on."""
    own = "sql NOT NULL AND NOT (type='table' AND name GLOB 'sqlite_*')"
    found = {sql for (sql,) in connection.execute(f"SELECT sql FROM sqlite_schema WHERE {own}")}
    version = _version(connection)
    if found != {statement for statements in _STATEMENTS[:version] for statement in statements}:
        raise LedgerError(f"{path}: its tables are not those of a ledger of version {version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and durable once it returns."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
