"""The ledger: runs, inputs, certificates and cached labels, in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import LedgerConflictError, LedgerError, ParameterError, RunMismatch
from holdfast.ledger.connection import open_database, transaction, translated
from holdfast.ledger.imported import checked, insert_imported, read_imported
from holdfast.ledger.labels import labels_digest, pack_labels, unpack_checked
from holdfast.ledger.rows import Entry, certificate_columns, read_entry, read_run, run_body
from holdfast.records import Certificate, ImportedRun, Purpose, Run

__all__ = ["Entry", "Execution", "Ledger", "check_run", "mismatch_text"]


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how fast something was computed: never part of the evidence."""

    run: str
    index: int
    samples: int
    seconds: float
    host: str
    engine: str
    finished: str


class Ledger:
    """One ledger file. Use as a context manager; only the process that certifies writes to it.

    A file that was created here, and is still empty when an error ends the ``with`` block, is removed again.

    Args:
        path: the file; it is created (with its tables) unless ``create`` is false.
        create: whether a missing file is created.

    Raises:
        LedgerError: see :mod:`holdfast.errors`.
    """

    def __init__(self, path: Path | str, create: bool = False) -> None:
        self.path = Path(path)
        self._is_new = not self.path.exists()
        self._db = open_database(self.path, create)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unused = error is not None and self._is_new and self._is_empty()
        self.close()
        if unused and not self.path.with_name(self.path.name + "-wal").exists():  # nobody else has opened it
            self.path.unlink(missing_ok=True)

    def _is_empty(self) -> bool:
        return not self.rows("SELECT 1 FROM runs") and not self.imported_rows()

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a read-only query."""
        with translated(self.path):
            return self._db.execute(query, values).fetchall()

    # Runs

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return [run for _, run in self.run_rows()]

    def run_rows(self) -> list[tuple[str, Run]]:
        """All runs, oldest first, each with the id under which it is stored (its own, unless someone changed it).

        Raises:
            LedgerError: a record is damaged.
        """
        try:
            return [(id, read_run(body)) for id, body in self.rows("SELECT id, body FROM runs ORDER BY position")]
        except (ValueError, TypeError) as error:
            raise LedgerError(f"{self.path}: a run record is damaged ({error})") from error

    def run(self, prefix: str) -> Run:
        """The run whose id starts with ``prefix``.

        Raises:
            LedgerError: none or several do.
        """
        found = [run for run in self.runs() if run.id.startswith(prefix)]
        if len(found) != 1:
            known = ", ".join(run.id for run in self.runs()) or "none"
            raise LedgerError(
                f"{self.path}: {'no' if not found else 'more than one'} run {prefix!r}; runs here: {known}"
            )
        return found[0]

    def matching_run(self, parameters: dict[str, Any], nonce: str | None = None) -> Run | None:
        """The latest run with exactly these parameters (and nonce, when given): the one to resume."""
        found = [r for r in self.runs() if r.parameters() == parameters and nonce in (None, r.nonce)]
        return found[-1] if found else None

    def add_run(self, run: Run) -> None:
        """Insert a run if it is absent.

        Raises:
            RunMismatch: a run with this nonce but other parameters is there: a run is never changed or extended.
            ParameterError: a value that could not be read again, such as n above 2^24.
        """
        for other in self.runs():
            if other.id == run.id and other.nonce_given != run.nonce_given:
                kinds = ("drawn", "given") if run.nonce_given else ("given", "drawn")
                raise RunMismatch(f"{self.path}: the nonce of run {run.id} was {kinds[0]}, not {kinds[1]}")
            if other.nonce == run.nonce and other != run:
                raise RunMismatch(f"{self.path}: {mismatch_text(other, run.parameters())}")
        check_run(run)
        with translated(self.path), transaction(self._db):
            self._db.execute("INSERT OR IGNORE INTO runs(id, body) VALUES(?, ?)", (run.id, run_body(run)))

    # Published results

    def imported(self) -> list[ImportedRun]:
        """Published results that were put beside the runs, in the order in which they came.

        Raises:
            LedgerError: a record is damaged.
        """
        return [published for published, _ in self.imported_rows()]

    def imported_rows(self) -> list[tuple[ImportedRun, str]]:
        """Published results, each with the digest under which it is stored (its own, unless someone changed it).

        Raises:
            LedgerError: a record is damaged.
        """
        try:
            with translated(self.path):
                return list(read_imported(self._db))
        except ValueError as error:
            raise LedgerError(f"{self.path}: {error}") from error

    def add_imported(self, published: ImportedRun) -> bool:
        """Put published results beside the runs; inserting what is already there changes nothing.

        The first time, the file becomes one of version 2, which an older holdfast refuses to read.

        Returns:
            Whether it was not there before.

        Raises:
            ParameterError: it is nothing that could have been published.
            LedgerConflictError: other results are here under its name.
        """
        try:
            checked(published)
        except ValueError as error:
            raise ParameterError(f"{self.path} cannot keep these results: {error}") from error
        try:
            with translated(self.path), transaction(self._db):
                return insert_imported(self._db, published)
        except ValueError as error:
            raise LedgerConflictError(f"{self.path}: {error}; give them another name") from error

    # Certificates

    def finished(self, run: Run) -> set[int]:
        """Indices of the inputs that have a certificate."""
        return {index for (index,) in self.rows("SELECT idx FROM certificates WHERE run=?", (run.id,))}

    def entries(self, run: Run) -> Iterator[Entry]:
        """Inputs with certificates, by index."""
        query = (
            "SELECT i.idx, i.label, i.digest, c.label, c.radius_sq_px, c.p_lower, c.p_upper, c.selection_counts, c.counts "
            "FROM inputs i JOIN certificates c USING(run, idx) WHERE run=? ORDER BY idx"
        )
        for row in self.rows(query, (run.id,)):
            try:
                entry = read_entry(run, row)
            except (ValueError, TypeError) as error:
                raise LedgerError(
                    f"{self.path}: the certificate of input {row[0]} of run {run.id} is damaged ({error})"
                ) from error
            yield entry

    def record(
        self,
        run: Run,
        true_label: int,
        certificate: Certificate,
        selection: NDArray[np.uint16],
        estimation: NDArray[np.uint16],
        execution: Execution | None = None,
    ) -> None:
        """Keep a certificate with all its labels, in one transaction; partial labels of the input are dropped.

        Inserting what is already there changes nothing.

        Raises:
            LedgerConflictError: another result is recorded for this input.
        """
        at = (run.id, certificate.index)
        with translated(self.path), transaction(self._db):
            self._insert("inputs", (*at, true_label, certificate.digest))
            self._insert("certificates", (*at, *certificate_columns(certificate)))
            for purpose, labels in ((Purpose.SELECT, selection), (Purpose.ESTIMATE, estimation)):
                self._insert("labels", (*at, purpose.value, pack_labels(labels), labels_digest(labels)))
            self._db.execute("DELETE FROM partial WHERE run=? AND idx=?", at)
            if execution is not None:
                self._db.execute(
                    "INSERT INTO execution(run, idx, samples, seconds, host, engine, finished) VALUES(?,?,?,?,?,?,?)",
                    tuple(asdict(execution).values()),
                )

    def _insert(self, table: str, row: tuple[Any, ...]) -> None:
        """Insert if absent; a different row with the same key is a conflict."""
        marks = ",".join("?" * len(row))
        changed = self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES({marks})", row).rowcount
        key = {"labels": 3}.get(table, 2)
        columns = ("run", "idx", "purpose")[:key]
        where = " AND ".join(f"{c}=?" for c in columns)
        if not changed and self._db.execute(f"SELECT * FROM {table} WHERE {where}", row[:key]).fetchone() != row:
            raise LedgerConflictError(f"{self.path}: run {row[0]} has another entry for input {row[1]} in {table!r}")

    # Labels

    def label_digests(self, run: Run) -> dict[int, dict[str, str]]:
        """The SHA-256 of the cached labels, by index and purpose."""
        found: dict[int, dict[str, str]] = {}
        for index, purpose, digest in self.rows("SELECT idx, purpose, sha256 FROM labels WHERE run=?", (run.id,)):
            found.setdefault(index, {})[purpose] = digest
        return found

    def labels(self, run: Run, index: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """The cached labels of an input: selection and estimation.

        Raises:
            LedgerError: they are missing or damaged.
        """
        found = {
            purpose: (body, digest)
            for purpose, body, digest in self.rows(
                "SELECT purpose, body, sha256 FROM labels WHERE run=? AND idx=?", (run.id, index)
            )
        }
        result = []
        for purpose, count in ((Purpose.SELECT, run.n0), (Purpose.ESTIMATE, run.n)):
            if purpose not in found:
                raise LedgerError(f"{self.path}: the {purpose} labels of input {index} of run {run.id} are missing")
            body, digest = found[purpose]
            labels = unpack_checked(body, digest, count)
            if labels is None:
                raise LedgerError(
                    f"{self.path}: the {purpose} labels of input {index} of run {run.id} do not match their checksum"
                )
            result.append(labels)
        return result[0], result[1]

    def keep_partial(self, run: Run, index: int, purpose: Purpose, start: int, labels: NDArray[np.uint16]) -> None:
        """Keep labels of an unfinished input, so that a kill costs no more than one batch."""
        row = (run.id, index, purpose.value, start, pack_labels(labels), labels_digest(labels))
        with translated(self.path), transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO partial VALUES(?,?,?,?,?,?)", row)

    def partial(self, run: Run, index: int, purpose: Purpose) -> NDArray[np.uint16]:
        """Labels of an unfinished input from sample 0 to the first gap or damage; possibly none."""
        rows = self.rows(
            "SELECT start, body, sha256 FROM partial WHERE run=? AND idx=? AND purpose=? ORDER BY start",
            (run.id, index, purpose.value),
        )
        kept = [np.empty(0, dtype=np.uint16)]
        done = 0
        for start, body, digest in rows:
            if start == done:
                kept.append(self._partial_block(body, digest))
                done += len(kept[-1])
        return np.concatenate(kept)

    @staticmethod
    def _partial_block(body: bytes, digest: str) -> NDArray[np.uint16]:
        """Labels kept by an interrupted call; none if they are damaged: they can be computed again."""
        try:
            labels = unpack_checked(body, digest)
        except LedgerError:
            labels = None
        return labels if labels is not None else np.empty(0, dtype=np.uint16)

    def executions(self, run: Run) -> list[Execution]:
        """What was computed where, oldest first."""
        query = "SELECT run, idx, samples, seconds, host, engine, finished FROM execution WHERE run=? ORDER BY position"
        return [Execution(*row) for row in self.rows(query, (run.id,))]

    def integrity(self) -> list[str]:
        """What SQLite itself finds wrong with the file."""
        found = [text for (text,) in self.rows("PRAGMA integrity_check") if text != "ok"]
        return found + [f"{row[0]}: a row without its parent" for row in self.rows("PRAGMA foreign_key_check")]


def check_run(run: Run) -> None:
    """Refuse a run that could not be read again from a ledger.

    Raises:
        ParameterError: such as n above 2^24; says what it is.
    """
    try:
        read_run(run_body(run))
    except ValueError as error:
        raise ParameterError(f"a ledger cannot keep such a run: {error}") from error


def mismatch_text(run: Run, parameters: dict[str, Any]) -> str:
    """Which parameters differ from a run's, and why it cannot be changed."""
    known = run.parameters()
    differing = [f"{k} is {known[k]!r}, not {parameters[k]!r}" for k in known if known[k] != parameters[k]]
    return (
        f"run {run.id} cannot be resumed with other parameters: {'; '.join(differing)}. A run is fixed when it starts "
        "(extending one until it certifies would fail more often than alpha says): start another one"
    )
