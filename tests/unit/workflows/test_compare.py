"""Comparing: only the same inputs are paired, the numbers are those of the records, and other data are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.data import DataSet
from holdfast.errors import LedgerError, ParameterError
from holdfast.ledger import Ledger
from holdfast.records import ABSTAIN, ImportedResult, ImportedRun, Run
from holdfast.report.comparison import comparison_lines
from holdfast.report.comparison_page import comparison_page
from holdfast.rounding import certified_at, radius_down
from holdfast.stats import PairedCounts, difference_interval, mean_difference_interval
from holdfast.workflows import certify as work
from holdfast.workflows import contenders
from holdfast.workflows.compare import LEVEL, as_json, compare

OTHER = "0f" * 32


@pytest.fixture(scope="module")
def shifted(squares: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Inputs 2 to 11 of the squares by a classifier with other borders: wrong in places, right with other radii."""
    path = tmp_path_factory.mktemp("shifted") / "shifted.ledger"
    with Ledger(path, create=True) as ledger:
        classifier = squares.classifier(thresholds=(260, 560))
        run = squares.open(ledger, classifier, nonce=OTHER)
        work.certify_inputs(ledger, run, classifier, squares.data, range(2, 12))
    return run, path


def entries(path: Path) -> dict[int, Any]:
    with Ledger(path) as ledger:
        return {entry.index: entry for entry in ledger.entries(ledger.runs()[0])}


def right(entry: Any, radius: Fraction) -> bool:
    c = entry.certificate
    return bool(c.prediction == entry.label and certified_at(c.radius_sq_px, radius))


def test_every_number_is_that_of_the_records(whole: Any, shifted: Any) -> None:
    comparison = compare([str(whole[1]), str(shifted[1])])
    one, other = entries(whole[1]), entries(shifted[1])
    (pair,) = comparison.pairs
    assert [run.name for run in comparison.runs] == [whole[0].id, shifted[0].id]
    assert [run.inputs for run in comparison.runs] == [12, 10]
    assert pair.inputs == 10
    assert pair.by_digest
    assert len(comparison.radii) > 2
    for radius, row in zip(comparison.radii, pair.shares, strict=True):
        first = [right(one[i], radius) for i in range(2, 12)]
        second = [right(other[i], radius) for i in range(2, 12)]
        assert (row.first, row.second) == (Fraction(sum(first), 10), Fraction(sum(second), 10))
        assert row.only_first == sum(a and not b for a, b in zip(first, second, strict=True))
        assert row.only_second == sum(b and not a for a, b in zip(first, second, strict=True))
        assert row.interval == difference_interval(PairedCounts.of(second, first), LEVEL)
    assert any(row.only_first or row.only_second for row in pair.shares), "the two must differ for this to say anything"
    own = [Fraction(sum(right(e, radius) for e in one.values()), 12) for radius in comparison.radii]
    assert list(comparison.runs[0].accuracy) == own


def test_the_average_radius_has_the_range_of_a_unanimous_vote(whole: Any, shifted: Any) -> None:
    comparison = compare([str(whole[1]), str(shifted[1])])
    one, other = entries(whole[1]), entries(shifted[1])
    gains = [
        [Fraction(e[i].certificate.radius) if right(e[i], Fraction(0)) else Fraction(0) for i in range(2, 12)]
        for e in (one, other)
    ]
    (found,) = contenders.contenders_of(str(whole[1]))
    cap = Fraction(radius_down(found.cap_sq_px or 0))
    assert found.cap_sq_px == max(e.certificate.radius_sq_px for e in one.values()), "some squares are unanimous"
    mean = comparison.pairs[0].mean
    assert (mean.first, mean.second) == (sum(gains[0]) / 10, sum(gains[1]) / 10)
    assert mean.interval == mean_difference_interval(gains[1], gains[0], cap, cap, LEVEL)


def test_names_of_runs(whole: Any, shifted: Any, tmp_path: Path) -> None:
    path = tmp_path / "both.ledger"
    path.write_bytes(whole[1].read_bytes())
    with Ledger(path) as ledger, Ledger(shifted[1]) as source:
        from holdfast.ledger import merge

        merge(ledger, source)
    ids = [whole[0].id, shifted[0].id]
    assert [run.name for run in compare([str(path)]).runs] == ids
    assert [run.name for run in compare([f"{path}:{ids[1][:5]}", f"{path}:{ids[0][:5]}"]).runs] == ids[::-1]
    with pytest.raises(LedgerError, match=f"no run 'zz'; runs here: {ids[0]}, {ids[1]}"):
        compare([f"{path}:zz", str(path)])
    with pytest.raises(ParameterError, match="1 run named; 2 to 26 can be compared"):
        compare([str(whole[1])])
    with pytest.raises(ParameterError, match="27 runs named"):
        compare([str(whole[1])] * 27)
    with pytest.raises(LedgerError, match="no such ledger"):
        compare([str(tmp_path / "nothing:abc"), str(path)])


def test_a_file_whose_name_has_a_colon_is_found(whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "a:b.ledger"
    path.write_bytes(whole[1].read_bytes())
    assert contenders.split_name(str(path)) == (path, None)
    assert contenders.split_name(f"{path}:{whole[0].id}") == (path, whole[0].id)
    assert compare([str(path), f"{path}:{whole[0].id[:4]}"]).pairs[0].inputs == 12


def test_a_run_against_itself_differs_nowhere(whole: Any) -> None:
    (pair,) = compare([str(whole[1])] * 2).pairs
    assert all((r.only_first, r.only_second) == (0, 0) and r.interval.lower < 0 < r.interval.upper for r in pair.shares)
    assert pair.mean.ratio == 1


def test_other_data_are_refused(squares: Any, whole: Any, tmp_path: Path) -> None:
    images = squares.data.images.copy()
    images[0] += 1
    data = DataSet("squares", "test", images, squares.data.labels, squares.data.classes)
    path = tmp_path / "other.ledger"
    with Ledger(path, create=True) as ledger:
        run = work.open_run(ledger, squares.classifier(), data, n0=20, n=300, alpha="0.001")
        work.certify_inputs(ledger, run, squares.classifier(), data, range(3))
    with pytest.raises(ParameterError, match="results on other data cannot be compared"):
        compare([str(whole[1]), str(path)])


def test_runs_without_a_common_input_are_refused(squares: Any, tmp_path: Path) -> None:
    squares.certify(tmp_path / "a.ledger", [0, 1])
    squares.certify(tmp_path / "b.ledger", [2, 3])
    with pytest.raises(ParameterError, match="no input in common"):
        compare([str(tmp_path / "a.ledger"), str(tmp_path / "b.ledger")])


def test_a_run_without_certificates_or_an_empty_ledger(squares: Any, whole: Any, tmp_path: Path) -> None:
    squares.certify(tmp_path / "a.ledger", [])
    with pytest.raises(ParameterError, match="no input in common"):
        compare([str(whole[1]), str(tmp_path / "a.ledger")])
    Ledger(tmp_path / "empty.ledger", create=True).close()
    with pytest.raises(LedgerError, match="nothing to compare"):
        compare([str(whole[1]), str(tmp_path / "empty.ledger")])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE inputs SET label=(label+1)%3 WHERE idx=4", "the true label of input 4"),
        ("UPDATE inputs SET digest=replace(digest, 'a', 'b') WHERE idx=4", "input 4 is another image"),
        ("UPDATE certificates SET radius_sq_px=99999 WHERE idx=4", "input 4: a larger radius than a unanimous vote"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    statement: str, said: str, whole: Any, change: Callable[..., None], copied: Path
) -> None:
    change(statement)
    with pytest.raises(LedgerError, match=said):
        compare([str(whole[1]), str(copied)])


@pytest.mark.parametrize(("radius", "said"), [("-0.1", "cannot be negative"), ("far", "must be a decimal number")])
def test_radii_are_decimals(radius: str, said: str, whole: Any) -> None:
    with pytest.raises(ParameterError, match=said):
        compare([str(whole[1])] * 2, [radius])


def test_radii_are_chosen_or_multiples_of_half_sigma_that_can_be_reached(whole: Any) -> None:
    sigma = Fraction(whole[0].sigma)
    (found,) = contenders.contenders_of(str(whole[1]))
    radii = compare([str(whole[1])] * 2).radii
    assert list(radii) == [sigma * k / 2 for k in range(5) if certified_at(found.cap_sq_px or 0, sigma * k / 2)]
    assert compare([str(whole[1])] * 2, ["0.05", "0.01", "0.05"]).radii == (Fraction(1, 100), Fraction(1, 20))


# Published results


@pytest.fixture
def with_published(squares: Any, whole: Any, copied: Path) -> Path:
    """The undisturbed run, with somebody's table of inputs 0 to 7 beside it."""
    labels = [int(label) for label in squares.data.labels]
    results = tuple(
        ImportedResult(i, labels[i], ABSTAIN if i == 3 else labels[i], "0" if i == 3 else f"0.{i}") for i in range(8)
    )
    with Ledger(copied) as ledger:
        ledger.add_imported(
            ImportedRun(
                name="theirs", source="t.tsv", source_digest="0" * 64, data="squares", sigma="", results=results
            )
        )
    return copied


def test_published_results_are_matched_by_index_and_marked(whole: Any, with_published: Path) -> None:
    comparison = compare([f"{with_published}:{whole[0].id[:6]}", f"{with_published}:theirs"], ["0", "0.5"])
    (pair,) = comparison.pairs
    assert (pair.inputs, pair.by_digest) == (8, False)
    assert [row.second for row in pair.shares] == [Fraction(7, 8), Fraction(3, 8)]
    assert pair.mean.second == Fraction(sum((0, 1, 2, 4, 5, 6, 7)), 80)
    assert pair.mean.interval is None, "their largest possible radius is not known"
    text = "\n".join(comparison_lines(comparison))
    assert "imported from t.tsv: radii as printed, not re-checkable" in text
    assert "matched by index, images not compared" in text
    assert "no proved one" in text


def test_published_results_on_other_data_or_with_other_labels_are_refused(whole: Any, with_published: Path) -> None:
    theirs = ImportedRun(
        name="x", source="t.tsv", source_digest="0" * 64, data="cifar10", sigma="1",
        results=(ImportedResult(0, 0, 0, "1"),),
    )  # fmt: skip
    with Ledger(with_published) as ledger:
        ledger.add_imported(theirs)
    with pytest.raises(ParameterError, match="about cifar10: results on other data"):
        compare([f"{with_published}:{whole[0].id}", f"{with_published}:x"])
    with pytest.raises(LedgerError, match="imported: 'theirs', 'x'"):
        compare([f"{with_published}:nobody", f"{with_published}:x"])
    with Ledger(with_published) as ledger:
        wrong = (ImportedResult(0, 2, 2, "1"),)
        ledger.add_imported(
            ImportedRun(name="y", source="t", source_digest="0" * 64, data="squares test", sigma="1", results=wrong)
        )
    with pytest.raises(LedgerError, match="is the data set the same"):
        compare([f"{with_published}:{whole[0].id}", f"{with_published}:y"])


# What is shown


def test_the_text_shows_nothing_rounded_up(whole: Any, shifted: Any) -> None:
    comparison = compare([str(whole[1]), str(shifted[1])])
    pair = comparison.pairs[0]
    header, rows = pair.table()
    assert header == ["radius", "A", "B", "B - A", "95 % interval", "only A", "only B"]
    for row, share in zip(rows, pair.shares, strict=False):
        assert Fraction(row[1]) <= share.first < Fraction(row[1]) + Fraction(1, 10**4)
        assert Fraction(row[3]) <= share.second - share.first < Fraction(row[3]) + Fraction(1, 10**4)
        low, high = (Fraction(end) for end in row[4].split(" to "))
        assert low <= share.interval.lower <= share.interval.upper <= high
    assert rows[-1][0] == "ACR"
    lines = list(comparison_lines(comparison))
    assert any(line.startswith("B against A: 10 inputs that both have") for line in lines)
    assert any(re.fullmatch(r"B / A: ACR \d+\.\d{3}, time per input \S+", line) for line in lines)
    assert sum("its nonce was given" in line for line in lines) == 2


def test_json_has_the_same_numbers_with_ends_rounded_outward(whole: Any, shifted: Any) -> None:
    comparison = compare([str(whole[1]), str(shifted[1])])
    said = json.loads(json.dumps(as_json(comparison)))
    assert [run["letter"] for run in said["runs"]] == ["A", "B"]
    (pair,) = said["pairs"]
    assert pair["matched_by"] == "digest"
    for row, share in zip(pair["certified_accuracy"], comparison.pairs[0].shares, strict=True):
        low, high = map(Fraction, row["interval"])
        assert low <= share.interval.lower <= share.interval.upper <= high
        assert high - low - (share.interval.upper - share.interval.lower) < Fraction(1, 10**15)


def test_the_page_escapes_names_and_shows_the_same_rows(whole: Any, with_published: Path) -> None:
    name = "<script>alert(1)</script>"
    with Ledger(with_published) as ledger:
        (theirs,) = ledger.imported()
        ledger.add_imported(
            ImportedRun(name=name, source="t", source_digest="0" * 64, data="squares", sigma="", results=theirs.results)
        )
    comparison = compare([str(with_published)])
    text = comparison_page(comparison)
    assert name not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for pair in comparison.pairs:
        for row in pair.table()[1]:
            assert "".join(f"<td>{cell}</td>" for cell in row) in text
    assert text.count('class="curve series') >= 3


def test_no_time_no_ratio(whole: Any, copied: Path, change: Callable[..., None]) -> None:
    change("DELETE FROM execution")
    comparison = compare([str(whole[1]), str(copied)])
    assert comparison.runs[1].seconds is None
    assert comparison.pairs[0].time_ratio is None
    assert "time" not in comparison.pairs[0].ratios()
    assert np.isfinite(comparison.runs[0].seconds or np.nan)
