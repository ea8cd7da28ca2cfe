"""Opening: a ledger is created, found again, or refused with what it is instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import LedgerError, LedgerVersionError
from holdfast.ledger import Ledger, canonical_export, ledger_problems


def test_a_new_file_has_durable_settings_and_our_mark(tmp_path: Path) -> None:
    with Ledger(tmp_path / "new.ledger", create=True) as ledger:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("user_version", 1),
            ("application_id", int.from_bytes(b"hold", "big")),
        ):
            assert ledger.rows(f"PRAGMA {pragma}") == [(value,)]
        assert ledger.runs() == []
        assert list(ledger_problems(ledger)) == []


def test_an_empty_file_becomes_a_ledger_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "empty.ledger"
    path.touch()
    with pytest.raises(LedgerError, match="empty file"):
        Ledger(path)
    assert path.stat().st_size == 0
    Ledger(path, create=True).close()
    Ledger(path).close()


def test_opening_again_keeps_everything(tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", range(4))
    with Ledger(path) as ledger:
        first = canonical_export(ledger)
        assert ledger.finished(evidence.run()) == {0, 1, 2, 3}
    with Ledger(path, create=True) as ledger:
        assert canonical_export(ledger) == first


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs(id TEXT)")
    connection.close()


def text(path: Path) -> None:
    path.write_text("runs,inputs\n" * 200)


def folder(path: Path) -> None:
    path.mkdir()


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "no such ledger"),
    "a folder": (folder, "folder"),
    "a text file": (text, "not a readable ledger"),
    "random bytes": (lambda p: p.write_bytes(np.random.default_rng(1).bytes(9000)), "not a readable ledger"),
    "a short file": (lambda p: p.write_bytes(b"SQLite format 3\0"), "not a readable ledger"),
    "another SQLite database": (other_database, "an SQLite database, but not a holdfast ledger"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_ledger_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    make, message = WRONG[kind]
    path = tmp_path / "it.ledger"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for create in (False, True) if kind != "missing" else (False,):
        with pytest.raises(LedgerError, match=message) as caught:
            Ledger(path, create=create)
        assert str(path) in str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_ledger_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "no" / "where.ledger", create=True)


def test_a_newer_version_is_refused_and_named(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "PRAGMA user_version=3")
    with pytest.raises(LedgerVersionError, match=r"newer holdfast \(ledger version 3, this one reads 2\)"):
        Ledger(path)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE execution",
        "CREATE TABLE notes(text TEXT)",
        "CREATE TRIGGER t AFTER INSERT ON certificates BEGIN UPDATE certificates SET radius_sq_px=9999; END",
        "ALTER TABLE certificates ADD COLUMN more TEXT",
        "CREATE VIEW v AS SELECT * FROM runs",
    ],
)
def test_other_tables_than_ours_are_refused(
    change: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, change)
    with pytest.raises(LedgerError, match="tables are not those of a ledger of version 1"):
        Ledger(path)


def test_tables_without_types_are_refused(tmp_path: Path, edit: Callable[..., int]) -> None:
    path = tmp_path / "loose.ledger"
    Ledger(path, create=True).close()
    connection = sqlite3.connect(path)
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name='execution'").fetchone()
    connection.executescript(f"DROP TABLE execution; {sql.replace(' STRICT', '')}")
    connection.close()
    with pytest.raises(LedgerError, match="tables are not those"):
        Ledger(path)


def test_statistics_of_sqlite_do_no_harm(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "ANALYZE")
    with Ledger(path) as ledger:
        assert ledger.finished(evidence.run()) == {0}


def found_damaged(path: Path) -> bool:
    try:
        with Ledger(path) as ledger:
            return list(ledger_problems(ledger)) != []
    except LedgerError:
        return True


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_ledger_that_was_cut_off_is_never_taken_for_a_clean_one(share: float, tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", range(12))
    assert not found_damaged(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert found_damaged(path)


def test_a_damaged_page_is_found(tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", range(12))
    whole = path.read_bytes()
    for page in range(1, len(whole) // 4096):
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 64] = np.random.default_rng(page).bytes(64)
        path.write_bytes(bytes(damaged))
        assert found_damaged(path), f"nobody noticed damage in page {page}"
