"""The mutants themselves: the mistakes they are meant to hold, and a list of known ones that is not out of date."""

from __future__ import annotations

import ast
import tomllib

import pytest
from mutations import mutants
from run import KNOWN, ROOT, TESTS


def made(source: str) -> set[str]:
    return {mutant.after for mutant in mutants(source, "example.py")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a <= b == c", {"a < b == c", "a > b == c", "a <= b != c"}),
        ("x = a // 3", {"x = a * 3", "x = -(-a // 3)", "x = a // 4", "x = a // 2"}),
        ("x = a >> s", {"x = a << s", "x = -(-a >> s)"}),
        ("x = 2.5", {"x = 5.0", "x = 1.25"}),
        ("x = -y", {"x = y"}),
        ("x = not y", {"x = y"}),
        ("x = a and b", {"x = a or b"}),
        ("x += y", {"x -= y"}),
        ("x = np.floor(y)", {"x = np.ceil(y)"}),
        ("x = np.abs(y)", {"x = y"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("require(x)", {"None"}),
        ("if x:\n    raise E", {"False"}),
        ("while a < b:\n    pass", {"a <= b", "a >= b"}),
        ("for i in range(2):\n    pass", {"range(3)", "range(1)"}),
        ("x = sum(i for i in range(a - b))", {"x = sum((i for i in range(a + b)))"}),
        ("with f(1):\n    x = a * b", {"x = a / b"}),
        ("x = True", set()),
        ("@cache(maxsize=3)\ndef f(x: int) -> int:\n    '''Says 3.'''\n    return x", set()),
        ("x = f'{a + b} of 3'", set()),
    ],
)
def test_every_kind_of_mistake(source: str, expected: set[str]) -> None:
    assert made(source) == expected


def test_a_mutant_does_what_its_name_says_and_the_others_do_not() -> None:
    source = "class A:\n    def f(self, x):\n        if x > 3:\n            raise ValueError\n        return x * 2\n"
    found = {mutant.name: mutant for mutant in mutants(source, "example.py")}
    names = {"A.f: x > 3 -> False", "A.f: x > 3 -> x >= 3", "A.f: return x * 2 -> return x / 2"}
    assert names <= found.keys()

    def answers(name: str) -> list[object]:
        scope: dict[str, object] = {}
        exec(found[name].code, scope)  # noqa: S102
        answers: list[object] = []
        for x in (1, 3, 4):
            try:
                answers.append(scope["A"]().f(x))  # type: ignore[operator]
            except ValueError:
                answers.append("refused")
        return answers

    assert answers("A.f: x > 3 -> False") == [2, 6, 8]
    assert answers("A.f: x > 3 -> x >= 3") == [2, "refused", "refused"]
    assert answers("A.f: return x * 2 -> return x / 2") == [0.5, 1.5, "refused"]


@pytest.mark.parametrize("file", TESTS)
def test_what_is_known_to_survive_exists_and_has_a_reason(file: str) -> None:
    path = ROOT / "src" / "holdfast" / file
    names = {mutant.name for mutant in mutants(path.read_text(encoding="utf-8"), str(path))}
    known = tomllib.loads(KNOWN.read_text(encoding="utf-8")).get(file, [])
    assert {entry["mutant"] for entry in known} <= names
    assert all(len(entry["why"]) > 20 for entry in known)


@pytest.mark.parametrize("file", TESTS)
def test_the_tests_of_a_file_exist(file: str) -> None:
    ast.parse((ROOT / "src" / "holdfast" / file).read_text(encoding="utf-8"))
    assert all((ROOT / test).exists() for test in TESTS[file])
