"""Every command that the documentation shows is one that the program knows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from holdfast.cli.app import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "studies").rglob("*.md")])
FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(?:^|[|&;]|: |- )\s*(?:\$ )?(holdfast [a-z].*)$")
INLINE = re.compile(r"(?<!`)`(holdfast [a-z][^`]*)`(?!`)")
END = re.compile(r"\s(?:\|\|?|&&|;|>|#)\s.*$")


def typed(page: str) -> Iterator[str]:
    """The commands in the blocks of a page that stand there to be typed: from the verb to the end of the command."""
    for block in FENCE.findall(page):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if found := TYPED.search(line):
                yield END.sub("", found[1])


def mentioned(page: str) -> list[str]:
    """The commands in the text of a page."""
    return INLINE.findall(FENCE.sub("", page))


def every(commands: Callable[[str], Any]) -> list[Any]:
    return [
        pytest.param(command, id=f"{path.relative_to(ROOT)}: {command}")
        for path in PAGES
        for command in dict.fromkeys(commands(path.read_text(encoding="utf-8")))
    ]


def verb(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and the words that follow it."""
    command, rest = typer.main.get_command(app), words[1:]
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"no verb {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options(command: Any) -> set[str]:
    return {"--help"} | {name for param in command.params for name in (*param.opts, *param.secondary_opts)}


@pytest.mark.parametrize("line", every(typed))
def test_what_stands_there_to_be_typed_is_understood(line: str) -> None:
    """Verbs, options, their values and all that is required, as the program itself reads them."""
    command, rest = verb(shlex.split(line))
    assert not hasattr(command, "commands"), "a group alone does nothing"
    if {"...", "[OPTIONS]"} & set(rest):
        assert {word for word in rest if word.startswith("--")} <= options(command)
    else:
        command.make_context(line, rest)


@pytest.mark.parametrize("line", every(mentioned))
def test_what_is_mentioned_exists(line: str) -> None:
    command, rest = verb([word.strip("[]") for word in line.split()])
    assert {word for word in rest if word.startswith("--")} <= options(command)


def test_the_pages_show_every_verb() -> None:
    """In a guide, a how-to or the tutorial: the reference, which is written by the program, does not count."""
    pages = [path.read_text(encoding="utf-8") for path in PAGES if "reference" not in path.parts]
    shown = {shlex.split(command)[1] for page in pages for command in typed(page)}
    assert sorted(typer.main.get_command(app).commands.keys() - shown) == []


@pytest.mark.parametrize(
    "line",
    [
        "holdfast certfy x",
        "holdfast certify net --date digits --ledger l",
        "holdfast certify net --ledger l",
        "holdfast certify net --data digits --ledger l --n many",
    ],
)
def test_a_mistake_would_be_noticed(line: str) -> None:
    with pytest.raises((AssertionError, Exception), match=r"no verb|No such option|Missing|not a valid|valid integer"):
        test_what_stands_there_to_be_typed_is_understood(line)


def test_the_reference_of_the_command_line_is_the_program_s(tool: Callable[[str], ModuleType]) -> None:
    generate = tool("generate_cli")
    assert generate.TARGET.read_text(encoding="utf-8") == generate.reference(), "run python docs/tools/generate_cli.py"
