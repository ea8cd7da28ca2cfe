"""Write the reference of the command line from the program itself: ``python docs/tools/generate_cli.py``.

Everything comes from what ``holdfast VERB --help`` shows: the texts, the arguments, the options and their defaults.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer

from holdfast.cli.app import app

TARGET = Path(__file__).parents[1] / "reference" / "cli.md"
KINDS = {int: "INT", float: "FLOAT", Path: "PATH", str: "TEXT"}
HEAD = """\
# Command line

*Written from the program's own help by `docs/tools/generate_cli.py`; not to be edited.*

Every verb explains itself with `--help`. Exit codes: 0 done, 1 a check failed, 2 a mistake (one line on standard error
says what was wrong, where, and what to do), 130 interrupted.
"""


def reference() -> str:
    """The whole page."""
    group = typer.main.get_command(app)
    return "\n".join([HEAD, *overview(group), *(line for name in group.commands for line in described(group, name))])


def overview(group: Any) -> Iterator[str]:
    """What each verb is for, in a line."""
    yield from ("| verb | what it does |", "|---|---|")
    for name, command in group.commands.items():
        yield f"| [`holdfast {name}`](#holdfast-{name}) | {cell(summary(command))} |"
    yield ""


def described(group: Any, name: str, path: str = "holdfast", level: int = 2) -> Iterator[str]:
    """A verb, or a group and its verbs."""
    command, path = group.commands[name], f"{path} {name}"
    yield from (f"{'#' * level} `{path}` {{ #{path.replace(' ', '-')} }}", "")
    if hasattr(command, "commands"):
        yield from prose(command.help)
        for verb in command.commands:
            yield from described(command, verb, path, level + 1)
        return
    yield from ("```text", " ".join([path, *pieces(command)]), "```", "")
    yield from prose(command.help)
    yield from table(command)


def pieces(command: Any) -> Iterator[str]:
    """What follows the verb: required options, the others, the arguments."""
    options = [p for p in command.params if p.param_type_name == "option"]
    for option in options:
        if option.required:
            yield f"{option.opts[0]} {kind(command, option)}"
    yield "[OPTIONS]"
    for argument in command.params:
        if argument.param_type_name == "argument":
            name = kind(command, argument)
            yield name if argument.required else f"[{name}]"


def prose(text: str) -> Iterator[str]:
    """The paragraphs of a help text; the example becomes a block that can be copied."""
    for paragraph in re.split(r"\n{2,}", text.strip()):
        line = " ".join(paragraph.split())
        if line.startswith("Example: "):
            yield from ("```", line.removeprefix("Example: "), "```", "")
        else:
            yield from (line.replace("<", "&lt;"), "")


def table(command: Any) -> Iterator[str]:
    """Arguments and options, each with what it does and what it is by default."""
    shown = [p for p in command.params if not p.hidden and p.name != "help"]
    if not shown:
        return
    yield from ("| argument or option | what it does |", "|---|---|")
    for param in shown:
        yield f"| {names(command, param)} | {cell(param.help or '')}{remark(param)} |"
    yield ""


def names(command: Any, param: Any) -> str:
    """How it is written on the command line."""
    if param.param_type_name == "argument":
        return f"`{kind(command, param)}`"
    both = " / ".join(part for part in ("/".join(param.opts), "/".join(param.secondary_opts)) if part)
    return f"`{both}`" if param.is_flag else f"`{both} {kind(command, param)}`"


def kind(command: Any, param: Any) -> str:
    """What stands for the value: its own name if it has one, the argument's name, or its type."""
    more = "..." if param.nargs == -1 else ""
    if param.metavar:
        return param.metavar if param.metavar.endswith("...") else f"{param.metavar}{more}"
    if param.param_type_name == "argument":
        return f"{param.name.upper()}{more}"
    return KINDS[plain(get_type_hints(command.callback)[param.name])]


def plain(annotation: Any) -> Any:
    """The type of one value: ``int`` for ``int | None`` and for ``list[int]``."""
    if get_origin(annotation) in (Union, types.UnionType, list):
        return plain(next(part for part in get_args(annotation) if part is not type(None)))
    return annotation


def remark(param: Any) -> str:
    """Whether it must be given, and what it is if it is not."""
    if param.required:
        return " *Required.*"
    shown = (
        param.default is not None and param.default is not False and param.default != [] and not callable(param.default)
    )
    return f" Default: `{param.default}`." if shown else ""


def summary(command: Any) -> str:
    """The first paragraph of a help text."""
    return " ".join(re.split(r"\n{2,}", command.help.strip())[0].split())


def cell(text: str) -> str:
    """A text that may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    print(f"wrote {TARGET}")
