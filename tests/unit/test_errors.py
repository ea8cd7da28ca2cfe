"""The tree of errors: the drawing is the classes, and the classes are all of them."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from holdfast import errors


def drawn_tree() -> dict[str, str]:
    """Child -> parent, read off the drawing in the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.getdoc(errors).splitlines():
        match = re.match(r"^(?P<indent>\s{4,}(?:[│├└─ ]*))(?P<name>[A-Z]\w+)", line)
        if match is None:
            continue
        depth = (len(match["indent"]) - 4) // 4
        path[depth:] = [match["name"]]
        if depth:
            parents[match["name"]] = path[depth - 1]
    return parents


def defined() -> dict[str, type[BaseException]]:
    """Errors and warnings."""
    return {
        name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)
    }


def test_the_tree_drawn_is_the_tree_of_the_classes() -> None:
    actual = {
        name: next(b.__name__ for b in kind.__bases__ if issubclass(b, errors.HoldfastError))
        for name, kind in defined().items()
        if kind is not errors.HoldfastError and not issubclass(kind, Warning)
    }
    assert drawn_tree() == actual


def test_every_error_is_public_and_nothing_else_is() -> None:
    assert sorted(defined()) == sorted(errors.__all__)


@pytest.mark.parametrize("name", sorted(defined()))
def test_each_error_has_a_docstring_and_survives_pickling(name: str) -> None:
    kind = defined()[name]
    assert kind.__doc__
    again = pickle.loads(pickle.dumps(kind("what, where, what to do")))  # noqa: S301
    assert type(again) is kind
    assert str(again) == "what, where, what to do"


def test_callers_may_catch_the_standard_kinds() -> None:
    assert issubclass(errors.ParameterError, ValueError)
    assert issubclass(errors.ImpossibleRequest, ValueError)
    assert issubclass(errors.MissingDependency, ImportError)
    assert issubclass(errors.HoldfastWarning, UserWarning)
