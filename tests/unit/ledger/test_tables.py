"""Tables for other programs: every certificate, and radii that are never too large."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import MissingDependency, ParameterError
from holdfast.ledger import Ledger, csv_table, parquet_table, tsv_table
from holdfast.workflows.exchange import exported, single_run


@pytest.fixture
def path(tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> Path:
    """Eight inputs, the first of which abstains."""
    path = evidence.ledger(tmp_path / "a.ledger", range(8))
    assert edit(path, "UPDATE certificates SET radius_sq_px=-1 WHERE idx=0") == 1
    return Path(path)


def test_the_fields_table(path: Path) -> None:
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
        entries, text = list(ledger.entries(run)), tsv_table(ledger, run).decode()
    header, *lines = text.splitlines()
    assert header == "idx\tlabel\tpredict\tradius\tcorrect\ttime"
    assert len(lines) == len(entries) == 8
    assert lines[0].split("\t")[2:5] == ["-1", "0.0", "0"]
    for line, entry in zip(lines[1:], entries[1:], strict=True):
        index, label, predict, radius, correct, time = line.split("\t")
        c = entry.certificate
        assert (int(index), int(label), int(predict)) == (entry.index, entry.label, c.label)
        assert int(correct) == (c.label == entry.label)
        assert time == "0:00:00.500000"
        shown = Fraction(radius)
        assert (shown * 255) ** 2 <= c.radius_sq_px < ((shown + Fraction(1, 10**6)) * 255) ** 2


def test_csv_has_every_column_and_gives_the_same_values_back(path: Path) -> None:
    with Ledger(path) as ledger:
        runs = ledger.runs()
        entries, text = list(ledger.entries(runs[0])), csv_table(ledger, runs).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    for row, entry in zip(rows, entries, strict=True):
        c = entry.certificate
        assert (row["run"], row["digest"], row["seconds"]) == (runs[0].id, c.digest, "0.5")
        assert (float(row["p_lower"]), float(row["p_upper"])) == (c.p_lower, c.p_upper)
        assert tuple(json.loads(row["counts"])) == c.counts
        assert tuple(json.loads(row["selection_counts"])) == c.selection_counts
        numbers = [int(row[k]) for k in ("index", "true_label", "label", "prediction", "radius_sq_px", "n0", "n")]
        assert numbers == [
            entry.index, entry.label, c.label, c.prediction, c.radius_sq_px, runs[0].n0, runs[0].n
        ]  # fmt: skip
        assert (row["radius"] == "") == c.abstained
        assert c.abstained or (Fraction(row["radius"]) * 255) ** 2 <= c.radius_sq_px


def test_parquet_gives_the_same_values_back(path: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with Ledger(path) as ledger:
        runs = ledger.runs()
        entries, content = list(ledger.entries(runs[0])), parquet_table(ledger, runs)
        columns = next(csv.reader(io.StringIO(csv_table(ledger, runs).decode())))
    (tmp_path / "a.parquet").write_bytes(content)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == columns
    for row, entry in zip(table.to_pylist(), entries, strict=True):
        c = entry.certificate
        assert (row["p_lower"], row["radius_sq_px"], row["counts"]) == (c.p_lower, c.radius_sq_px, list(c.counts))
        assert (row["radius"] is None) == c.abstained
        assert c.abstained or (Fraction(row["radius"]) * 255) ** 2 <= c.radius_sq_px


def test_a_ledger_without_certificates_gives_a_header(tmp_path: Path, evidence: Any) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        ledger.add_run(evidence.run())
        assert csv_table(ledger, ledger.runs()).decode().startswith("run,data,sigma,")
        assert tsv_table(ledger, evidence.run()).decode() == "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
        assert parquet_table(ledger, ledger.runs())[:4] == b"PAR1"


def test_times_that_are_none_or_unknown_stay_empty(path: Path, edit: Callable[..., int]) -> None:
    edit(path, "UPDATE execution SET seconds=9e999 WHERE idx=1")
    edit(path, "UPDATE execution SET seconds=-1 WHERE idx=2")
    edit(path, "DELETE FROM execution WHERE idx=3")
    with Ledger(path) as ledger:
        lines = tsv_table(ledger, ledger.runs()[0]).decode().splitlines()[1:]
    assert [line.split("\t")[5] == "" for line in lines] == [i in (1, 2, 3) for i in range(8)]


def test_without_pyarrow_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with Ledger(path) as ledger, pytest.raises(MissingDependency, match=r"holdfast\[parquet\]"):
        parquet_table(ledger, ledger.runs())


def test_a_form_that_cannot_hold_what_is_asked_for(path: Path, evidence: Any) -> None:
    with Ledger(path) as ledger:
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("xlsx", {}, "unknown format 'xlsx'; known: json, tsv, csv, parquet"),
            ("json", {"run": "ab"}, "--run is for tables"),
            ("csv", {"canonical": True}, "--canonical is a form of JSON, not of csv"),
            ("parquet", {}, "name a file with --out"),
        ]
        for form, settings, said in cases:
            with pytest.raises(ParameterError, match=said):
                exported(ledger, form, **settings)
        assert exported(ledger, "tsv") == tsv_table(ledger, ledger.runs()[0])
        assert exported(ledger, "parquet", to_file=True)[:4] == b"PAR1"
        other = evidence.run(nonce="cd" * 32)
        ledger.add_run(other)
        with pytest.raises(ParameterError, match=f"2 runs; choose one by --run: .*{other.id}"):
            exported(ledger, "tsv")
        assert exported(ledger, "csv", run=other.id).count(b"\n") == 1
        assert single_run(ledger, other.id[:6]) == other


def test_no_run_to_choose(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger, pytest.raises(ParameterError, match="no run"):
        single_run(ledger, None)
