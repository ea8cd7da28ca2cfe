"""MkDocs hook: the pages of the library's reference, one for each room, written from the source without importing it.

A page shows first what the room's front door exports, then of each module what else is public. So a new module, or a
new room, enters the reference by itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

SOURCE = Path(__file__).parents[2] / "src" / "holdfast"
FOLDER = "reference/api"
HIDDEN = {"cli"}
"""The command line has a reference of its own."""
BASE = "base"
BASE_SAYS = "What every room uses: errors, records, protocols, digests, roundings."
MARK = "<!-- the rooms -->"


def on_config(config: Any) -> None:
    """Put the pages into the navigation, after the library's first page."""
    (library,) = sections(config.nav, "Library")
    library += [{title(room): f"{FOLDER}/{room}.md"} for room in rooms()]


def sections(nav: Any, name: str) -> Iterator[list[Any]]:
    """The parts of the navigation with this name."""
    for item in nav:
        for key, value in item.items() if isinstance(item, dict) else ():
            if key == name:
                yield value
            elif isinstance(value, list):
                yield from sections(value, name)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for room in rooms():
        files.append(File.generated(config, f"{FOLDER}/{room}.md", content="\n".join(page(room)) + "\n"))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Write the list of rooms where it is wanted."""
    return markdown.replace(MARK, "\n".join(overview())) if MARK in markdown else markdown


def rooms() -> list[str]:
    """Every package, and the modules that stand outside of them as one more."""
    return [BASE, *sorted(path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name not in HIDDEN)]


def overview() -> Iterator[str]:
    """A table with a line for each room."""
    yield from ("| room | what it holds |", "|---|---|")
    for room in rooms():
        yield f"| [{title(room)}]({room}.md) | {BASE_SAYS if room == BASE else says(SOURCE / room / '__init__.py')} |"


def page(room: str) -> Iterator[str]:
    """The page of a room."""
    yield f"# {title(room)}"
    if room == BASE:
        yield f"\n{BASE_SAYS}"
        yield from (line for path in modules(SOURCE) for line in shown(f"holdfast.{path.stem}", public(path)))
        return
    paths, exported = modules(SOURCE / room), public(SOURCE / room / "__init__.py")
    own = {path.stem for path in paths}
    yield from shown(f"holdfast.{room}", [name for name in exported if name not in own])
    for path in paths:
        door = set(exported) - own | {name for name in exported if name in own and name != path.stem}
        if left := [name for name in public(path) if name not in door]:
            yield from shown(".".join(["holdfast", *path.relative_to(SOURCE).with_suffix("").parts]), left)


def shown(module: str, names: list[str]) -> Iterator[str]:
    """The order to show some names of a module; without names only what it is."""
    yield from (f"\n::: {module}", "    options:", f"      members: [{', '.join(names)}]")


def modules(folder: Path) -> list[Path]:
    """The modules of a package, those of its parts included; of the whole library only its own."""
    paths = folder.glob("*.py") if folder == SOURCE else folder.rglob("*.py")
    return sorted(path for path in paths if not path.stem.startswith("_"))


def public(path: Path) -> list[str]:
    """``__all__`` of a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
    return []


def says(path: Path) -> str:
    """The first paragraph of a file's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def title(room: str) -> str:
    """How a room is called."""
    return room.capitalize()
