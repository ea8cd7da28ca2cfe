"""Mutants of a source file: copies with one small mistake each, of the kinds that harm a bound.

A comparison at its border or turned round, a number off by one, an operator, a rounding direction, least for most, a sign,
a check left out. Messages, annotations and decorators are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
}
OPPOSITES = [
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("floor", "ceil"),
    ("lower", "upper"),
    ("any", "all"),
]
NAMES = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}
LEFT_ALONE = {"annotation", "returns", "decorator_list", "ctx", "type_params"}


@dataclass(frozen=True)
class Mutant:
    """A file with one mistake.

    Attributes:
        place: class and function, or ``module``.
        line: where the mistake is.
        before: the statement, or the condition of a compound one.
        after: the same with the mistake.
        code: the compiled file.
    """

    place: str
    line: int
    before: str
    after: str
    code: CodeType = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """What tells it from the others; holds as long as the statement is not changed."""
        return f"{self.place}: {self.before} -> {self.after}"


def mutants(source: str, filename: str) -> Iterator[Mutant]:
    """All mutants, in the order of the text; those whose names are equal count once."""
    tree, seen = ast.parse(source), set()
    for statement, place, shown in _statements(tree, "module"):
        before = _text(shown)
        for swap in _swaps(statement, shown):
            with swap.made():
                after = _text(swap.shown or shown)
                code = compile(ast.fix_missing_locations(tree), filename, "exec")
            mutant = Mutant(place, swap.line, before, after, code)
            if mutant.name not in seen:
                seen.add(mutant.name)
                yield mutant


@dataclass
class _Swap:
    """A place in the tree and what shall stand there; ``shown`` replaces the statement in the mutant's name."""

    parent: Any
    name: str
    index: int | None
    new: Any
    line: int
    shown: ast.AST | None = None

    @contextmanager
    def made(self) -> Iterator[None]:
        old = self._put(self.new)
        try:
            yield
        finally:
            self._put(old)

    def _put(self, new: Any) -> Any:
        if self.index is None:
            old = getattr(self.parent, self.name)
            setattr(self.parent, self.name, new)
            return old
        items = getattr(self.parent, self.name)
        old, items[self.index] = items[self.index], new
        return old


def _statements(node: Any, place: str) -> Iterator[tuple[ast.stmt, str, ast.AST]]:
    """Every statement with its place and the part of it that is its own: of a compound one the condition."""
    for body in ("body", "orelse", "finalbody"):
        for statement in getattr(node, body, []) if not isinstance(node, ast.expr) else []:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                inner = statement.name if place == "module" else f"{place}.{statement.name}"
                yield from _statements(statement, inner)
                continue
            own = getattr(statement, "test", None) or getattr(statement, "iter", None) or statement
            if not isinstance(statement, ast.With | ast.Import | ast.ImportFrom):
                yield statement, place, own
            yield from _statements(statement, place)


def _swaps(statement: ast.stmt, shown: ast.AST) -> Iterator[_Swap]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield _Swap(statement, "value", None, ast.Constant(None), statement.lineno)
    if isinstance(statement, ast.AugAssign) and type(statement.op) in OPERATORS:
        yield _Swap(statement, "op", None, OPERATORS[type(statement.op)](), statement.lineno)
    if isinstance(statement, ast.If) and isinstance(statement.body[0], ast.Raise):
        yield _Swap(statement, "test", None, never := ast.Constant(False), statement.lineno, never)
    if shown is not statement:  # (a condition is reached through its statement)
        field_name = "test" if getattr(statement, "test", None) is shown else "iter"
        yield from _swaps_of(statement, field_name, None, shown, shown_is_node=True)
    else:
        yield from _inside(statement)


def _inside(node: ast.AST) -> Iterator[_Swap]:
    for name, value in ast.iter_fields(node):
        if name in LEFT_ALONE or isinstance(node, ast.JoinedStr):
            continue
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.expr):
                    yield from _swaps_of(node, name, index, item)
                elif isinstance(item, ast.comprehension | ast.keyword):
                    yield from _inside(item)
        elif isinstance(value, ast.expr):
            yield from _swaps_of(node, name, None, value)


def _swaps_of(parent: Any, name: str, index: int | None, node: Any, shown_is_node: bool = False) -> Iterator[_Swap]:
    for new in _variants(node):
        yield _Swap(parent, name, index, new, node.lineno, new if shown_is_node else None)
    if isinstance(node, ast.Compare):
        for position, op in enumerate(node.ops):
            for other in COMPARISONS.get(type(op), []):
                yield _Swap(node, "ops", position, other(), node.lineno)
    for kind, attribute in ((ast.Name, "id"), (ast.Attribute, "attr")):
        if isinstance(node, kind) and getattr(node, attribute) in NAMES:
            yield _Swap(node, attribute, None, NAMES[getattr(node, attribute)], node.lineno)
    yield from _inside(node)


def _variants(node: ast.expr) -> Iterator[ast.expr]:
    """What an expression could mistakenly be."""
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(value=float(value)) if value:
            yield from (ast.Constant(value * 2), ast.Constant(value / 2))
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=inner):
            yield inner
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.Call(func=ast.Name(id="abs") | ast.Attribute(attr="abs"), args=[argument]):
            yield argument
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
            if isinstance(op, ast.FloorDiv | ast.RShift):  # rounded up instead of down
                yield ast.UnaryOp(ast.USub(), ast.BinOp(ast.UnaryOp(ast.USub(), left), op, right))


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())
