"""`__all__` is what is public: every module has one, it is true, and everything in it can be imported."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import holdfast

ROOT = Path(holdfast.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
EMPTY = {"__init__.py", "__main__.py"}
CORE = (
    "digest",
    "errors",
    "protocols",
    "records",
    "rounding",
    "atomic",
    "noise",
    "stats",
    "intnet",
    "certify",
    "engine",
)
"""Rooms in which constants are held to the rule too."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_command(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any("command" in ast.unparse(d) or "callback" in ast.unparse(d) for d in node.decorator_list)


def defined_names(tree: ast.Module, constants: bool) -> set[str]:
    """Names without an underscore that a module itself defines at its top level; commands of the CLI are not names."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not is_command(node):
            names.add(node.name)
        elif constants and isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif constants and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_all_is_what_is_public_and_importable(path: Path) -> None:
    name = module_name(path)
    constants = any(f"{name}.".startswith(f"holdfast.{room}.") for room in CORE)
    module, defined = importlib.import_module(name), defined_names(ast.parse(path.read_text()), constants)
    if not hasattr(module, "__all__"):
        assert path.name in EMPTY, "no __all__"
        assert not defined, "public names but no __all__"
        return
    public = module.__all__
    assert len(set(public)) == len(public)
    assert [name for name in public if getattr(module, name, None) is None] == []
    assert sorted(defined - set(public)) == [], "defined here, public by name, but not in __all__"


@pytest.mark.parametrize("room", ["", ".certify", ".noise", ".stats"])
def test_star_import_gives_exactly_the_public_names(room: str) -> None:
    names: dict[str, object] = {}
    exec(f"from holdfast{room} import *", names)  # noqa: S102
    names.pop("__builtins__")
    assert set(names) == set(importlib.import_module(f"holdfast{room}").__all__)


def test_the_front_door() -> None:
    """The names a user of the library meets; ``import holdfast`` alone must not load torch or SQLite (lazily found)."""
    assert holdfast.Smoothed.__module__ == "holdfast.workflows.smoothed"
    assert holdfast.Ledger.__module__ == "holdfast.ledger.ledger"
    assert holdfast.load.__module__ == "holdfast.intnet.codec"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = holdfast.nothing
