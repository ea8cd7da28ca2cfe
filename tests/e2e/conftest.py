"""The demo, run once as a user runs it, and ledgers that the tests of the command line look into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NONCE = "c0" * 32
SMALLER = "from holdfast.workflows import demo; demo.N, demo.INPUTS, demo.EPOCHS = 1000, 30, 10; "
"""A tenth of the demo's samples and inputs: everything else is what a user gets."""
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, the system's own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def demo(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with the demo's folder, ``out``, and what the demo said, ``stdout`` and ``stderr``."""
    return once("the demo", _run_demo)


def _run_demo(folder: Path) -> None:
    code = SMALLER + "from holdfast.cli import main; main()"
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        command = [sys.executable, "-c", code, "demo", "--out", str(folder / "out")]
        subprocess.run(command, stdout=out, stderr=err, check=True, timeout=600)


@pytest.fixture(scope="session")
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a process of its own."""

    def run(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "holdfast", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | settings.pop("env", {})
        )

    return run


@pytest.fixture(scope="session")
def settings(digits_model: Path) -> list[object]:
    """A small certification; only what is to be certified and the ledger are missing."""
    return [digits_model, "--data", "digits", "--n0", 20, "--n", 300, "--threads", 1]


@pytest.fixture(scope="session")
def filled(once: Callable[[str, Callable[[Path], None]], Path], digits_model: Path) -> Path:
    """A ledger with twelve inputs of one run; not to be changed."""

    def fill(folder: Path) -> None:
        from holdfast import data
        from holdfast.ledger import Ledger
        from holdfast.workflows import certify as work
        from holdfast.workflows.classifiers import as_classifier, load_network

        classifier, digits = as_classifier(load_network(str(digits_model)), threads=1), data.load("digits", "test")
        with Ledger(folder / "it.ledger", create=True) as ledger:
            run = work.open_run(ledger, classifier, digits, n0=20, n=300, alpha="0.001", nonce=NONCE)
            work.certify_inputs(ledger, run, classifier, digits, range(0, 120, 10))

    return once("filled", fill) / "it.ledger"


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    """A copy of that ledger, to be changed."""
    path = tmp_path / "copy.ledger"
    path.write_bytes(filled.read_bytes())
    return path


@pytest.fixture
def certify(digits_model: Path, holdfast: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """`holdfast certify` of two digits into a new ledger, with some options changed."""

    def run(*options: object, model: object = digits_model, ledger: object = tmp_path / "a.ledger") -> Any:
        given = [str(o) for o in options]
        data = [] if "--data" in given else ["--data", "digits"]
        limit = [] if "--indices" in given else ["--limit", 2]
        return holdfast("certify", model, *data, *limit, "--threads", 1, "--ledger", ledger, *given)

    return run
