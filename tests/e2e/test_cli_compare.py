"""`holdfast compare`, and published tables beside one's own runs: export, import, list, compare."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.ledger import Ledger

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def noisier(once: Callable[[str, Callable[[Path], None]], Path], digits_model: Path) -> Path:
    """Eight of the twelve inputs, certified with more noise."""

    def fill(folder: Path) -> None:
        from holdfast import data
        from holdfast.workflows import certify as work
        from holdfast.workflows.classifiers import as_classifier, load_network

        classifier = as_classifier(load_network(str(digits_model)), sigma="0.3", threads=1)
        digits = data.load("digits", "test")
        with Ledger(folder / "it.ledger", create=True) as ledger:
            run = work.open_run(ledger, classifier, digits, n0=20, n=300, alpha="0.001")
            work.certify_inputs(ledger, run, classifier, digits, range(0, 80, 10))

    return once("noisier", fill) / "it.ledger"


def test_two_ledgers_side_by_side_and_as_a_page(filled: Path, noisier: Path, holdfast: Run, tmp_path: Path) -> None:
    answer = holdfast("compare", filled, noisier, "--out", tmp_path / "it.html")
    assert answer.code == 0, answer
    assert "B against A: 8 inputs that both have (the same images by their digests)" in answer.out
    assert answer.out.splitlines()[-1] == f"page: {tmp_path / 'it.html'}"
    page = (tmp_path / "it.html").read_text()
    assert "Comparison: A " in page
    assert "B against A: 8 inputs that both have" in page
    rows = [line.split() for line in answer.out.splitlines() if line.startswith("  ") and " to " in line]
    assert len(rows) > 3
    for row in rows:
        assert f"<td>{' '.join(row[4:7])}</td>" in page
    said = json.loads(holdfast("compare", filled, noisier, "--json", "--radius", "0.1").out)
    assert said["radii"] == ["0.1"]
    assert [run["inputs"] for run in said["runs"]] == [12, 8]


def test_mistakes(filled: Path, holdfast: Run, tmp_path: Path) -> None:
    cases: list[tuple[list[object], str]] = [
        ([filled], "1 run named; 2 to 26 can be compared: name ledgers, or runs as LEDGER:RUN"),
        ([filled, "missing.ledger"], "missing.ledger: no such ledger"),
        ([filled, f"{filled}:zz"], "no run 'zz'"),
        ([filled, filled, "--radius", "far"], "must be a decimal number"),
        ([filled, filled, "--out", tmp_path / "no" / "it.html"], "it.html"),
    ]
    for arguments, said in cases:
        assert said in holdfast("compare", *arguments).error, arguments


def test_a_published_table_stands_beside_ones_own_run(
    filled: Path, copied: Path, holdfast: Run, tmp_path: Path
) -> None:
    table, before = tmp_path / "theirs.tsv", holdfast("ledger", "export", copied, "--canonical").out
    assert holdfast("ledger", "export", filled, "--format", "tsv", "--out", table).code == 0
    imported = holdfast("ledger", "import", table, copied, "--name", "theirs", "--data", "digits", "--sigma", "0.150")
    assert imported.code == 0, imported
    assert imported.out == f"{copied}: 12 results of digits as 'theirs': imported, not re-checkable\n"
    again = holdfast("ledger", "import", table, copied, "--name", "theirs", "--data", "digits", "--sigma", "0.15")
    assert "already there, nothing changed" in again.out
    assert holdfast("ledger", "export", copied, "--canonical").out == before
    assert holdfast("ledger", "check", copied).code == 0
    listed = holdfast("ledger", "list", copied).out.splitlines()
    assert listed[-1] == "imported 'theirs'  digits  sigma 0.15  12 inputs from theirs.tsv, not re-checkable"
    verified = holdfast("verify", copied)
    assert verified.code == 0
    assert "NOTE: 'theirs': imported from theirs.tsv; nothing in it can be re-checked" in verified.out
    compared = holdfast("compare", copied)
    assert "B against A: 12 inputs that both have (matched by index, images not compared)" in compared.out
    assert "B / A: ACR 0.99" in compared.out or "B / A: ACR 1.000" in compared.out, "the same, cut after six decimals"


def test_a_broken_table_is_one_line_and_leaves_no_ledger(holdfast: Run, tmp_path: Path) -> None:
    table, ledger = tmp_path / "it.tsv", tmp_path / "new.ledger"
    table.write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\tnan\t1\t0:00:01\n")
    answer = holdfast("ledger", "import", table, ledger, "--name", "x", "--data", "cifar10")
    assert "it.tsv, line 2: radius 'nan' is no length" in answer.error
    assert "no.tsv" in holdfast("ledger", "import", tmp_path / "no.tsv", ledger, "--name", "x", "--data", "y").error
    assert not ledger.exists()


def test_other_forms_of_export(filled: Path, holdfast: Run, tmp_path: Path) -> None:
    assert holdfast("ledger", "export", filled, "--format", "csv").out.count("\n") == 13
    assert holdfast("ledger", "export", filled, "--format", "parquet", "--out", tmp_path / "it.parquet").code == 0
    assert (tmp_path / "it.parquet").read_bytes()[:4] == b"PAR1"
    assert "name a file with --out" in holdfast("ledger", "export", filled, "--format", "parquet").error
    assert "unknown format 'xml'" in holdfast("ledger", "export", filled, "--format", "xml").error


def test_a_merge_that_fails_leaves_no_new_ledger(holdfast: Run, filled: Path, tmp_path: Path) -> None:
    assert "no such ledger" in holdfast("ledger", "merge", tmp_path / "new", tmp_path / "missing").error
    assert list(tmp_path.iterdir()) == []
    assert "no such ledger" in holdfast("ledger", "merge", tmp_path / "new", filled, tmp_path / "missing").error
    with Ledger(tmp_path / "new") as ledger:
        assert len(ledger.runs()) == 1, "what was merged before stays"


@pytest.mark.parametrize("verb", [["ledger", "show"], ["ledger", "export", "--format", "csv"]])
def test_nobody_reading_on_is_silent_and_no_verdict(verb: list[str], filled: Path) -> None:
    """As in `holdfast ledger show it.ledger | head -1`, with a reader that leaves at once."""
    command = [sys.executable, "-m", "holdfast", *verb, str(filled)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_colour_picture_for_a_network_of_one_channel_is_refused(
    digits_model: Path, holdfast: Run, tmp_path: Path
) -> None:
    pictures = pytest.importorskip("PIL.Image")
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    same = np.repeat(grey[..., None], 3, axis=2)
    colour = same.copy()
    colour[0, 0, 2] += 1
    pictures.fromarray(same).save(tmp_path / "same.png")
    pictures.fromarray(grey).save(tmp_path / "grey.png")
    pictures.fromarray(colour).save(tmp_path / "colour.png")
    options = ["--n", 100, "--threads", 1, "--json"]
    for name in ("same.png", "grey.png"):
        assert holdfast("predict", digits_model, tmp_path / name, *options).code == 0
    answer = holdfast("predict", digits_model, tmp_path / "colour.png", *options)
    assert "colour.png is in colour; the network takes one channel" in answer.error


def test_a_picture_that_is_transparent_in_places_is_refused(digits_model: Path, holdfast: Run, tmp_path: Path) -> None:
    pictures = pytest.importorskip("PIL.Image")
    options = ["--n", 100, "--threads", 1, "--json"]
    path, grey = tmp_path / "it.png", pictures.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for mode, transparent in (("RGBA", 254), ("LA", 0), ("P", 0)):
        picture = grey.convert(mode)
        picture.save(path)
        assert holdfast("predict", digits_model, path, *options).code == 0, "opaque everywhere"
        if mode == "P":
            picture.save(path, transparency=3)
        else:
            picture.putpixel((1, 2), (*picture.getpixel((1, 2))[:-1], transparent))
            picture.save(path)
        answer = holdfast("predict", digits_model, path, *options)
        assert "it.png is transparent in places: put it on a background yourself" in answer.error
    grey.convert("CMYK").save(path.with_suffix(".jpg"))
    assert holdfast("predict", digits_model, path.with_suffix(".jpg"), *options).code == 0, "has no transparency"
