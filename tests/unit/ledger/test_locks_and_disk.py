"""Another writer, and a disk that is full: said in our words, and nothing that was recorded is lost."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import LedgerError, LedgerFullError, LedgerLockedError
from holdfast.ledger import Ledger, canonical_export, connection, ledger_problems
from holdfast.records import Purpose


@pytest.fixture
def path(tmp_path: Path, evidence: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(connection, "_WAIT_SECONDS", 0.05)
    return evidence.ledger(tmp_path / "a.ledger", [0])


@contextmanager
def writing(path: Path, begin: str = "BEGIN EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """Another process in the middle of writing."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(begin)
    try:
        yield other
    finally:
        other.close()


@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_ledger_that_another_process_is_writing_to_is_locked(begin: str, path: Path, evidence: Any) -> None:
    with writing(path, begin), pytest.raises(LedgerLockedError, match="another process is writing") as caught:
        Ledger(path)
    assert str(path) in str(caught.value)
    with Ledger(path) as ledger:
        assert ledger.finished(evidence.run()) == {0}


def test_a_writer_that_comes_later_hinders_writing_but_not_reading(path: Path, evidence: Any) -> None:
    run = evidence.run()
    with Ledger(path) as ledger:
        before = canonical_export(ledger)
        with writing(path):
            for write in (
                lambda: evidence.record(ledger, run, [1]),
                lambda: ledger.add_run(evidence.run(nonce="cd" * 32)),
                lambda: ledger.keep_partial(run, 2, Purpose.SELECT, 0, np.ones(5, dtype=np.uint16)),
            ):
                with pytest.raises(LedgerLockedError, match="or use another ledger and merge"):
                    write()
            assert canonical_export(ledger) == before
        evidence.record(ledger, run, [1])
        assert ledger.finished(run) == {0, 1}


def test_two_readers_do_not_disturb_each_other(path: Path) -> None:
    with Ledger(path) as first, Ledger(path) as second:
        assert canonical_export(first) == canonical_export(second)


def test_a_rollback_after_a_kill_leaves_what_was_committed(path: Path, evidence: Any) -> None:
    """A process that dies within a transaction: its locks and its half of a record are gone."""
    run = evidence.run()
    with writing(path) as other:
        other.execute("INSERT INTO inputs VALUES(?, 7, 1, 'x')", (run.id,))
    with Ledger(path) as ledger:
        assert ledger.finished(run) == {0}
        assert list(ledger_problems(ledger)) == []


def fill(ledger: Ledger, evidence: Any) -> int:
    """Record inputs until the disk is full; returns the first that could not be."""
    for index in range(1, 4000):
        with Ledger(ledger.path) as reader:
            before = canonical_export(reader)
        try:
            evidence.record(ledger, evidence.run(), [index])
        except LedgerFullError:
            with Ledger(ledger.path) as reader:
                assert canonical_export(reader) == before, "half a record stayed"
            raise
    return 0


@contextmanager
def few_pages(ledger: Ledger) -> Iterator[None]:
    """SQLite's own way to say that there is no space."""
    (pages,) = ledger.rows("PRAGMA page_count")[0]
    ledger.rows(f"PRAGMA max_page_count={pages + 2}")
    yield
    ledger.rows("PRAGMA max_page_count=1000000")


@contextmanager
def small_files(ledger: Ledger) -> Iterator[None]:
    """The system refuses to make the journal larger: a write fails within the commit."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("no_space", [few_pages, small_files])
def test_on_a_full_disk_nothing_recorded_is_lost_and_work_goes_on_when_there_is_space(
    no_space: Callable[[Ledger], Any], path: Path, evidence: Any
) -> None:
    run = evidence.run()
    with Ledger(path) as ledger:
        with no_space(ledger), pytest.raises(LedgerFullError, match="what was recorded is intact") as caught:
            fill(ledger, evidence)
        assert str(path) in str(caught.value)
        kept = ledger.finished(run)
        assert kept == set(range(len(kept)))
        for index in kept:
            assert np.array_equal(ledger.labels(run, index)[1], evidence.labels(run, index)[1])
        evidence.record(ledger, run, [len(kept)])
        assert list(ledger_problems(ledger)) == []
    with Ledger(path) as again:
        assert again.finished(run) == kept | {len(kept)}


@pytest.fixture
def protected(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if this user had no permission to write (which nobody can take from an administrator)."""
    monkeypatch.setattr(connection.os, "access", lambda *_: False)
    return path


def test_a_ledger_that_may_not_be_written_can_be_read_and_says_so(protected: Path, evidence: Any) -> None:
    before = protected.read_bytes()
    with Ledger(protected) as ledger:
        assert list(ledger_problems(ledger)) == []
        assert ledger.finished(evidence.run()) == {0}
        with pytest.raises(LedgerError, match="cannot be opened for writing here"):
            evidence.record(ledger, evidence.run(), [1])
    assert protected.read_bytes() == before
    assert [file.name for file in protected.parent.iterdir()] == [protected.name]


def test_what_a_killed_process_left_in_the_journal_is_read_without_permission_to_write(
    protected: Path, evidence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = evidence.run()
    with monkeypatch.context() as patch:
        patch.setattr(connection.os, "access", lambda *_: True)
        writer = Ledger(protected)
    evidence.record(writer, run, [1])  # and does not close: the certificate is in the journal only
    with Ledger(protected) as ledger:
        assert ledger.finished(run) == {0, 1}
        assert list(ledger_problems(ledger)) == []
    writer.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [("CREATE VIEW v AS SELECT 1", "tables are not those"), ("PRAGMA user_version=3", "newer holdfast")],
)
def test_a_protected_ledger_is_no_more_trusted_than_another(
    change: str, said: str, protected: Path, edit: Callable[..., int]
) -> None:
    edit(protected, change)
    with pytest.raises(LedgerError, match=said):
        Ledger(protected)
