"""Models and ledgers that cannot be used: one line that names the file and what is wrong with it, exit code 2."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from holdfast.ledger import Ledger, connection, ledger_problems
from holdfast.models import tensorfile

Run = Callable[..., Any]


def misfit(path: Path) -> None:
    """The same header, and the last layer of another network."""
    header, tensors = tensorfile.read(path, "holdfast-checkpoint", 1)
    tensors["fc.weight"] = torch.zeros(10, 32)
    tensors["fc.bias"] = torch.zeros(9)
    tensorfile.write(path, "holdfast-checkpoint", 1, header, tensors)


MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (Path.unlink, "cannot read"),
    "cut off": (lambda p: p.write_bytes(p.read_bytes()[:-10]), "damaged"),
    "empty": (lambda p: p.write_bytes(b""), "cut short: 0 bytes"),
    "a pickle": (lambda p: torch.save({"fc.weight": torch.zeros(1)}, p), "is a pickle (a torch .pt file)"),
    "a misfit": (misfit, "tensor 'fc.weight' has shape (10, 32), the network needs (10, 64)"),
    "plain weights": (lambda p: save_file(load_file(p), p), "was not written by holdfast"),
    "text": (lambda p: p.write_text("weights"), "cut short"),
}


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("verb", ["certify", "predict", "inspect"])
def test_an_unusable_model(
    case: str, verb: str, digits_model: Path, certify: Run, holdfast: Run, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(digits_model.read_bytes())
    make, said = MODELS[case]
    make(path)
    if verb == "inspect" and case == "a misfit":
        return  # shows what is there, without building it
    answer = certify(model=path) if verb == "certify" else holdfast(verb, path, *["digits:0"][: verb == "predict"])
    assert said in answer.error
    assert str(path) in answer.error
    assert not (tmp_path / "a.ledger").exists()


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes(text TEXT)")


def newer(path: Path) -> None:
    Ledger(path, create=True).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=7")


LEDGERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "text": (lambda p: p.write_text("a ledger\n" * 99), "not a readable ledger"),
    "another database": (other_database, "an SQLite database, but not a holdfast ledger"),
    "newer": (newer, "written by a newer holdfast (ledger version 7, this one reads 2)"),
    "a folder": (lambda p: p.mkdir(), "a folder, not a ledger"),
    "missing": (lambda _: None, "no such ledger"),
}


@pytest.mark.parametrize("case", LEDGERS)
@pytest.mark.parametrize("verb", ["certify", "verify", "list", "show", "check", "export", "merge"])
def test_an_unusable_ledger(case: str, verb: str, certify: Run, holdfast: Run, tmp_path: Path) -> None:
    path = tmp_path / "it.ledger"
    make, said = LEDGERS[case]
    make(path)
    if (verb, case) == ("certify", "missing"):
        return  # then it is created
    if verb == "certify":
        answer = certify(ledger=path)
    elif verb == "verify":
        answer = holdfast("verify", path)
    else:
        answer = holdfast("ledger", verb, *([tmp_path / "target.ledger"] if verb == "merge" else []), path)
    assert said in answer.error
    assert str(path) in answer.error


def test_a_ledger_that_another_process_writes_to(
    copied: Path, certify: Run, holdfast: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_WAIT_SECONDS", 0.05)
    other = sqlite3.connect(copied, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "another process is writing to this ledger" in certify(ledger=copied).error
    assert "another process is writing to this ledger" in holdfast("ledger", "list", copied).error
    other.close()
    assert holdfast("ledger", "check", copied).code == 0


def test_a_run_is_not_resumed_with_other_parameters(copied: Path, certify: Run) -> None:
    with Ledger(copied) as ledger:
        (run,) = ledger.runs()
    answer = certify("--resume", run.id[:6], "--n0", 20, "--n", 600, ledger=copied)
    assert f"run {run.id} cannot be resumed with other parameters: n is 300, not 600" in answer.error
    assert "start another one" in answer.error
    with Ledger(copied) as ledger:
        assert ledger.runs() == [run]


def test_a_full_disk_keeps_what_was_recorded(certify: Run, tmp_path: Path) -> None:
    """No file may grow beyond a limit: as when the disk is full, a write fails; with space again the run goes on."""
    path = tmp_path / "a.ledger"
    small = ["--n0", 20, "--n", 300, "--batch-size", 320, "--indices", ":60"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        answer = certify(*small)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the disk is full or cannot be written" in answer.error
    assert "what was recorded is intact" in answer.error
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
        assert 0 < len(ledger.finished(run)) < 60
        assert list(ledger_problems(ledger)) == []
    assert certify(*small).code == 0
    with Ledger(path) as ledger:
        assert len(ledger.finished(run)) == 60
