"""The tutorial, typed: every command still answers what the pages say, numbers and keys excepted."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = f"""#!{sys.executable}
import sys
if sys.argv[1] == "demo":  # a tenth of the samples and inputs
    from holdfast.workflows import demo
    demo.N, demo.INPUTS, demo.EPOCHS = 1000, 30, 10
from holdfast.cli import main
main()
"""
VARYING = (
    (r"\b[0-9a-f]{8,}\b", "#"),
    (r"-?\d[\d,.]*(?<![,.])", "#"),
    (r"# min # s", "# s"),
    (r"\babstain\b(?!ed)", "#"),
    (r" +", " "),
)
"""What differs from run to run and from machine to machine."""


@pytest.fixture(scope="module")
def replay() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "tools" / "replay.py"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shell finds ``holdfast``, with a smaller demo, and ``python``."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "holdfast").write_text(SCRIPT)
    (folder / "holdfast").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


def fixed(answer: str) -> list[str]:
    """The lines of an answer without what varies."""
    for pattern, instead in VARYING:
        answer = re.sub(pattern, instead, answer)
    return [line.strip() for line in answer.splitlines()]


def test_every_command_of_the_tutorial_answers_as_written(replay: dict[str, Any], path: Path, tmp_path: Path) -> None:
    typed = [pair for page in replay["PAGES"] for pair in replay["commands"](page.read_text(encoding="utf-8"))]
    assert len(typed) > 12
    for command, written in typed:
        assert fixed(replay["answer"](command, tmp_path, path)) == fixed(written), command


def test_the_pages_of_the_tutorial_are_all_typed(replay: dict[str, Any]) -> None:
    with_commands = {p for p in (ROOT / "docs").rglob("*.md") if any(replay["commands"](p.read_text(encoding="utf-8")))}
    assert with_commands == set(replay["PAGES"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("run 30b18c2514b86c19: 50 inputs", "run 0123456789abcdef: 7 inputs", True),
        ("about 1 min 3 s", "about 9 s", True),
        ("  430      3    abstain  abstain   0.350484", "    430      3          2  0.0830    0.710090", True),
        ("5 abstained", "5 failed", False),
        ("holds", "does not hold", False),
    ],
)
def test_what_may_differ(one: str, other: str, same: bool) -> None:
    assert (fixed(one) == fixed(other)) == same
