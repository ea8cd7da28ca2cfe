"""Published results beside one's own: kept as they were, never part of what was computed, and old files stay old files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import LedgerConflictError, LedgerError, ParameterError
from holdfast.ledger import Ledger, canonical_export, full_export, ledger_problems, merge
from holdfast.records import ABSTAIN, ImportedResult, ImportedRun

PUBLISHED = ImportedRun(
    name="Cohen et al.", source="sigma_0.50.tsv", source_digest="ab" * 32, data="cifar10", sigma="0.5",
    results=(ImportedResult(0, 3, 3, "1.24"), ImportedResult(20, 5, ABSTAIN, "0"), ImportedResult(40, 1, 7, "5e-05")),
)  # fmt: skip


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(found)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    other = replace(PUBLISHED, name="another", sigma="")
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        assert ledger.imported() == []
        assert ledger.add_imported(PUBLISHED)
        assert ledger.add_imported(other)
        assert not ledger.add_imported(PUBLISHED), "it is there already"
    with Ledger(tmp_path / "a.ledger") as ledger:
        assert ledger.imported() == [PUBLISHED, other]
        assert ledger.runs() == []
        assert list(ledger_problems(ledger)) == []


@given(
    st.dictionaries(
        st.integers(0, 10**6),
        st.tuples(st.integers(0, 999), st.integers(-1, 999), st.decimals(0, 999, places=5).map(str)),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=25)
def test_any_results_survive(tmp_path_factory: pytest.TempPathFactory, lines: dict[int, Any]) -> None:
    results = tuple(ImportedResult(i, a, b, r if b >= 0 else "0") for i, (a, b, r) in sorted(lines.items()))
    published = replace(PUBLISHED, results=results)
    with Ledger(tmp_path_factory.mktemp("any") / "a.ledger", create=True) as ledger:
        ledger.add_imported(published)
        assert ledger.imported() == [published]


def test_a_file_of_version_1_is_read_without_being_changed(tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", range(3))
    before = path.read_bytes()
    assert version(path) == 1
    with Ledger(path) as ledger:
        assert ledger.imported() == []
        assert list(ledger_problems(ledger)) == []
        canonical_export(ledger)
        full_export(ledger)
    assert path.read_bytes() == before


def test_importing_makes_it_version_2_and_changes_nothing_that_was_computed(tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", range(3))
    with Ledger(path) as ledger:
        before = canonical_export(ledger)
        ledger.add_imported(PUBLISHED)
        assert canonical_export(ledger) == before
        assert [p["name"] for p in json.loads(full_export(ledger))["imported"]] == ["Cohen et al."]
    assert version(path) == 2
    with Ledger(path) as ledger:
        assert ledger.finished(evidence.run()) == {0, 1, 2}
        evidence.record(ledger, evidence.run(), [3])
        assert list(ledger_problems(ledger)) == []


def test_a_refused_import_leaves_the_file_as_it_was(tmp_path: Path, evidence: Any) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    with Ledger(path) as ledger, pytest.raises(ParameterError, match="no results"):
        ledger.add_imported(replace(PUBLISHED, results=()))
    assert version(path) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": "0.25"}, {"data": "cifar100"}, {"source_digest": "cd" * 32}, {"source": "b.tsv"},
        {"results": PUBLISHED.results[:2]},
    ],
)  # fmt: skip
def test_two_things_of_one_name_are_a_conflict(change: dict[str, Any], tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        ledger.add_imported(PUBLISHED)
        with pytest.raises(LedgerConflictError, match=r"under the name 'Cohen et al\.'; give them another name"):
            ledger.add_imported(replace(PUBLISHED, **change))
        assert ledger.imported() == [PUBLISHED]


RESULT = PUBLISHED.results[0]
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "its name is not a line"),
    "a name that steers a terminal": ({"name": "\x1b[2J"}, "its name is not a line"),
    "a long name": ({"name": "x" * 201}, "its name is not a line"),
    "no data": ({"data": ""}, "its data is not a line"),
    "no digest": ({"source_digest": "abc"}, "digest of its source"),
    "a sigma that is none": ({"sigma": "wide"}, "sigma is no number"),
    "sigma zero": ({"sigma": "0"}, "sigma is not positive"),
    "no results": ({"results": ()}, "no results"),
    "an input twice": ({"results": (RESULT, RESULT)}, "not numbered upwards"),
    "a negative index": ({"results": (replace(RESULT, index=-1),)}, "not numbered upwards"),
    "a negative label": ({"results": (replace(RESULT, label=-1),)}, "true label"),
    "a strange prediction": ({"results": (replace(RESULT, prediction=-2),)}, "neither a class nor -1"),
    "a radius of NaN": ({"results": (replace(RESULT, radius="nan"),)}, "'nan' is no length"),
    "an infinite radius": ({"results": (replace(RESULT, radius="inf"),)}, "'inf' is no length"),
    "a negative radius": ({"results": (replace(RESULT, radius="-0.5"),)}, "'-0.5' is no length"),
    "a huge radius": ({"results": (replace(RESULT, radius="1e99"),)}, "more than 1000 image units"),
    "an abstention with a radius": ({"results": (replace(RESULT, prediction=-1),)}, "abstains and has a radius"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_nobody_published_is_refused(what: str, tmp_path: Path) -> None:
    changes, said = WRONG[what]
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        with pytest.raises(ParameterError, match=said):
            ledger.add_imported(replace(PUBLISHED, **changes))
        assert ledger.imported() == []


TAMPERED = {
    "a radius": ("UPDATE imported_results SET radius='1.25' WHERE idx=0", "were changed"),
    "a class": ("UPDATE imported_results SET prediction=4 WHERE idx=0", "were changed"),
    "a line less": ("DELETE FROM imported_results WHERE idx=40", "were changed"),
    "sigma": ("UPDATE imported SET sigma='0.25'", "were changed"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_change_behind_its_back_is_found(what: str, tmp_path: Path, edit: Callable[..., int]) -> None:
    path = tmp_path / "a.ledger"
    with Ledger(path, create=True) as ledger:
        ledger.add_imported(PUBLISHED)
    statement, said = TAMPERED[what]
    assert edit(path, statement) == 1
    with Ledger(path) as ledger:
        (problem,) = ledger_problems(ledger)
        assert said in problem
        assert "'Cohen et al.'" in problem


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE imported_results SET radius='-1' WHERE idx=0", "'-1' is no length"),
        ("UPDATE imported_results SET radius='" + "9" * 5000 + "'", "is no length"),
        ("UPDATE imported SET data=''", "its data is not a line"),
        ("DELETE FROM imported_results", "it has no results"),
    ],
)
def test_a_record_that_makes_no_sense_is_an_error(
    statement: str, said: str, tmp_path: Path, edit: Callable[..., int]
) -> None:
    path = tmp_path / "a.ledger"
    with Ledger(path, create=True) as ledger:
        ledger.add_imported(PUBLISHED)
    edit(path, statement)
    with Ledger(path) as ledger, pytest.raises(LedgerError, match=said) as caught:
        ledger.imported()
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("change", ["DROP TABLE imported_results", "CREATE TABLE notes(text TEXT)"])
def test_other_tables_than_those_of_version_2_are_refused(
    change: str, tmp_path: Path, edit: Callable[..., int]
) -> None:
    path = tmp_path / "a.ledger"
    with Ledger(path, create=True) as ledger:
        ledger.add_imported(PUBLISHED)
    edit(path, change)
    with pytest.raises(LedgerError, match="not those of a ledger of version 2"):
        Ledger(path)


def test_a_file_that_only_says_it_is_version_2_is_refused(
    tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "PRAGMA user_version=2")
    with pytest.raises(LedgerError, match="not those of a ledger of version 2"):
        Ledger(path)


def test_merging_brings_published_results_along_and_never_two_of_one_name(tmp_path: Path, evidence: Any) -> None:
    source = evidence.ledger(tmp_path / "b.ledger", [1])
    with Ledger(source) as ledger:
        ledger.add_imported(PUBLISHED)
    with Ledger(evidence.ledger(tmp_path / "a.ledger", [0])) as target, Ledger(source) as other:
        assert [merge(target, other), merge(target, other)] == [1, 0]
        assert target.imported() == [PUBLISHED]
        assert list(ledger_problems(target)) == []
    with Ledger(tmp_path / "c.ledger", create=True) as target, Ledger(source) as other:
        target.add_imported(replace(PUBLISHED, sigma="1"))
        with pytest.raises(LedgerConflictError, match="other published results"):
            merge(target, other)


# A ledger that was created for nothing


def test_a_new_ledger_in_which_nothing_came_is_removed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no run"), Ledger(tmp_path / "new.ledger", create=True) as ledger:
        ledger.run("abc")
    assert list(tmp_path.iterdir()) == []


def fail_after(path: Path, work: Callable[[Ledger], Any]) -> None:
    """Create (or open) a ledger, do something, and end with an error."""
    with Ledger(path, create=True) as ledger:
        work(ledger)
        raise LedgerError("on purpose")


def test_it_stays_without_an_error_or_with_something_in_it_or_if_it_was_there(tmp_path: Path, evidence: Any) -> None:
    with Ledger(tmp_path / "kept", create=True):
        pass
    cases: dict[str, Callable[[Ledger], Any]] = {
        "kept": lambda ledger: ledger.runs(),
        "run": lambda ledger: ledger.add_run(evidence.run()),
        "published": lambda ledger: ledger.add_imported(PUBLISHED),
        "empty": lambda ledger: ledger.runs(),
    }
    for name, work in cases.items():
        with pytest.raises(LedgerError, match="on purpose"):
            fail_after(tmp_path / name, work)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "run", "published"}


def test_it_stays_while_somebody_else_has_it_open(tmp_path: Path) -> None:
    path, others = tmp_path / "shared.ledger", []
    with pytest.raises(LedgerError, match="on purpose"):
        fail_after(path, lambda _: others.append(Ledger(path)))
    others[0].add_imported(PUBLISHED)
    others[0].close()
    with Ledger(path) as ledger:
        assert ledger.imported() == [PUBLISHED]
