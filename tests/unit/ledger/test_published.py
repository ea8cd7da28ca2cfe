"""Reading published tables: taken as printed, or refused with the line that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, LedgerError, ParameterError
from holdfast.ledger import Ledger, published, read_published, tsv_table
from holdfast.records import ABSTAIN, ImportedResult

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
LINES = "0\t3\t3\t1.24\t1\t0:00:14.123456\n20\t5\t-1\t0.0\t0\t0:00:13.99\n40\t1\t7\t5e-05\t0\t0:00:01\n"
RESULTS = (ImportedResult(0, 3, 3, "1.24"), ImportedResult(20, 5, ABSTAIN, "0"), ImportedResult(40, 1, 7, "5e-05"))


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "it.tsv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(path: Path, **settings: Any) -> Any:
    return read_published(path, **{"name": "theirs", "data": "cifar10", "sigma": "0.50"} | settings)


def test_a_table_is_taken_as_it_was_printed(table: Callable[..., Path]) -> None:
    path = table(HEADER + LINES)
    found = read(path)
    assert found.results == RESULTS
    assert (found.name, found.source, found.data, found.sigma) == ("theirs", "it.tsv", "cifar10", "0.5")
    assert found.source_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(path, sigma=None).sigma == ""


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + LINES).replace("\n", "\r\n"),
        "\ufeff" + HEADER + LINES,
        (HEADER + LINES).removesuffix("\n"),
        HEADER + "".join(reversed(LINES.splitlines(keepends=True))),
        HEADER.replace("\ttime", "") + "".join(line.rpartition("\t")[0] + "\n" for line in LINES.splitlines()),
        HEADER.replace("idx\tlabel", "label\tidx")
        + "".join("\t".join((b, a, *rest)) + "\n" for a, b, *rest in (line.split("\t") for line in LINES.splitlines())),
    ],
    ids=["CRLF", "byte order mark", "no newline at the end", "another order", "no time", "columns exchanged"],
)
def test_harmless_variants_are_read(content: str, table: Callable[..., Path]) -> None:
    assert read(table(content)).results == RESULTS


FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "must name the columns"),
    "only a header": (HEADER, "no results"),
    "no header": (LINES, "must name the columns"),
    "commas": ((HEADER + LINES).replace("\t", ","), "must name the columns"),
    "a column missing": (HEADER.replace("radius", "r") + LINES, "must name the columns"),
    "a column twice": (HEADER.replace("time", "radius") + LINES, "once each"),
    "columns that are not what the header says": (
        HEADER.replace("label\tpredict\tradius", "radius\tpredict\tlabel") + LINES, "label is '1.24', not a whole number"
    ),
    "label and predict exchanged": ("idx\tpredict\tlabel\tradius\tcorrect\ttime\n" + LINES, "neither can be negative"),
    "cut off in a line": (HEADER + LINES[:-20], "was the file cut off?"),
    "cut off and empty lines": (HEADER + LINES + "\n\n", "line 5: 1 columns"),
    "a line too wide": (HEADER + LINES.replace("\n", "\tmore\n"), "line 2: 7 columns"),
    "NaN": (HEADER + LINES.replace("1.24", "nan"), "line 2: radius 'nan' is no length"),
    "infinite": (HEADER + LINES.replace("1.24", "inf"), "radius 'inf' is no length"),
    "negative": (HEADER + LINES.replace("1.24", "-1.24"), "radius '-1.24' is no length"),
    "too large": (HEADER + LINES.replace("1.24", "1e30"), "more than 1000 image units"),
    "a very long number": (HEADER + LINES.replace("1.24", "1" * 10_000), "is no length"),
    "hexadecimal": (HEADER + LINES.replace("1.24", "0x1p3"), "is no length"),
    "an index twice": (HEADER + LINES + LINES.splitlines()[0] + "\n", "input 0 is there more than once"),
    "a negative index": (HEADER + LINES.replace("20\t5", "-1\t5"), "idx -1"),
    "an index that is a float": (HEADER + LINES.replace("20\t5", "20.0\t5"), "idx is '20.0', not a whole number"),
    "a huge index": (HEADER + LINES.replace("20\t5", "9" * 30 + "\t5"), "not a whole number"),
    "another way to abstain": (HEADER + LINES.replace("-1", "-2"), "predict is '-2'"),
    "an abstention with a radius": (HEADER + LINES.replace("0.0\t0", "0.3\t0"), "it abstains, but has radius 0.3"),
    "correct although it is not": (HEADER + LINES.replace("5e-05\t0", "5e-05\t1"), "contradicts itself: label 1, predict 7"),
    "wrong although it is correct": (HEADER + LINES.replace("1.24\t1", "1.24\t0"), "but correct 0"),
    "correct as a word": (HEADER + LINES.replace("1.24\t1", "1.24\tTrue"), "correct is 'True'"),
    "zero bytes": (HEADER + LINES + "\0\n", "contains a zero byte"),
    "binary": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a text file"),
    "UTF-16": ((HEADER + LINES).encode("utf-16"), "not a text file"),
    "very many columns": ("\t".join(["idx label predict radius correct".replace(" ", "\t"), *"x" * 200]) + "\n", "columns"),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_or_broken_table_is_refused(what: str, table: Callable[..., Path]) -> None:
    content, said = FILES[what]
    path = table(content)
    with pytest.raises(LedgerError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_huge_file_is_refused_before_it_is_read(table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_MOST_BYTES", 100)
    path = table(HEADER + LINES)
    with pytest.raises(LedgerError, match="more than 100 bytes"):
        read(path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sigma": "wide"}, "sigma must be a decimal number"),
        ({"sigma": "-0.5"}, "sigma is no number"),
        ({"sigma": "0"}, "sigma is not positive"),
        ({"name": ""}, "its name is not a line"),
        ({"name": "two\nlines"}, "its name is not a line"),
        ({"data": "\a"}, "its data is not a line"),
    ],
)
def test_what_the_importer_says_is_checked_too(settings: dict[str, str], said: str, table: Callable[..., Path]) -> None:
    with pytest.raises(ParameterError, match=said):
        read(table(HEADER + LINES), **settings)


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.text("0123456789\t\n.-ei", max_size=200))
@settings(max_examples=150)
def test_whatever_is_in_the_file_there_is_a_result_or_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, body: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.tsv"
    path.write_bytes((HEADER + body).encode())
    try:
        found = read(path)
    except HoldfastError:
        return
    with Ledger(path.with_suffix(".ledger"), create=True) as ledger:
        ledger.add_imported(read(path, name=f"theirs {hashlib.sha256(body.encode()).hexdigest()}"))
    assert found.results


def test_ones_own_table_can_be_imported_elsewhere(tmp_path: Path, evidence: Any) -> None:
    path = tmp_path / "own.tsv"
    with Ledger(evidence.ledger(tmp_path / "a.ledger", range(6))) as ledger:
        (run,) = ledger.runs()
        path.write_bytes(tsv_table(ledger, run))
        entries = list(ledger.entries(run))
    found = read(path)
    assert [(r.index, r.label, r.prediction) for r in found.results] == [
        (e.index, e.label, e.certificate.prediction) for e in entries
    ]
