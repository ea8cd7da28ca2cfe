"""What a person sees: plain lines in a file, a bar on a terminal, and time left in both; results apart from progress."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.cli import output
from holdfast.cli.app import CLOSED_PIPE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_is_printed_every_few_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress("certify") as report:
        for second in range(1, 13):
            clock[0] = 100.0 + second
            report(second, 40, f"[bold]{second}/40[/bold] inputs", 40.0 - second)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "certify: 12%, [bold]5/40[/bold] inputs, 35 s left",
        "certify: 25%, [bold]10/40[/bold] inputs, 30 s left",
    ]


@pytest.mark.parametrize("left", [None, float("nan")])
def test_nobody_is_told_a_time_that_is_not_known(
    left: float | None, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress("fetch") as report:
        clock[0] += 60
        report(0, 1, "file", left)
    assert capsys.readouterr().err == "fetch: 0%, file\n"


def test_on_a_terminal_there_is_a_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(output, "error_console", lambda: console)
    with output.progress("certify") as report:
        report(30, 60, "3/6 inputs", 75)
    assert "certify" in screen.getvalue()
    assert "50%" in screen.getvalue()
    assert "3/6 inputs, 1 min 15 s left" in screen.getvalue()


@given(st.floats(0, 1e7))
def test_durations_are_said_to_the_second_or_the_minute(seconds: float) -> None:
    said = output.seconds_text(seconds)
    parts = said.split()
    units = {"h": 3600, "min": 60, "s": 1}
    meant = sum(int(number) * units[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))
    assert abs(meant - seconds) <= (0.5 if seconds < 3599 else 60)


@given(st.text(max_size=40))
def test_a_line_is_one_line_of_printable_text(text: str) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        output.print_line(text)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if text.isprintable():
        assert line[:-1] == text


def test_results_for_machines_are_sorted_json(capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, Any] = {"b": [1, "\x1b[2K"], "a": 0.1}
    output.print_json(value)
    said = capsys.readouterr().out
    assert json.loads(said) == value
    assert said.index('"a"') < said.index('"b"')
    assert said.isascii()


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """As in ``holdfast --help | head -1``, when the reader is gone before anything is written."""
    script = (
        "import time; input(); from holdfast.cli import main; import sys; sys.argv = ['holdfast', '--help']; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert process.returncode == CLOSED_PIPE
