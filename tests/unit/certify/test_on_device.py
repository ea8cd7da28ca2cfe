"""CERTIFY and PREDICT from tables and counts: the answers of the main path, and no float on the way."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certify import certified_count, certify, decide_prediction, new_run, on_device, predict, radius_table
from holdfast.certify.on_device import DeviceTables, covers, query_key, select
from holdfast.digest import array_digest
from holdfast.engine.integer import IntegerClassifier
from holdfast.errors import FileError, ImpossibleRequest, ParameterError
from holdfast.intnet import Flatten, Input, IntegerNetwork, Linear, Requantise
from holdfast.noise import noise_charge, noise_law
from holdfast.records import ABSTAIN, Address, Purpose, Tally
from holdfast.stats import critical_count

PERMILLE = Fraction(1, 1000)
PAGE = Path(__file__).parents[3] / "docs" / "theory" / "on-device.md"


@pytest.fixture(scope="module")
def tables() -> DeviceTables:
    return DeviceTables.build(sigma="0.25", n0=20, n=100, alpha="0.001")


@pytest.fixture(scope="module")
def large() -> DeviceTables:
    """n = 100 000: proved once, then read from the tests' cache of radius tables."""
    return DeviceTables.build(sigma="0.25", n0=100, n=100_000, alpha="0.001")


def votes(n: int) -> Iterator[tuple[int, ...]]:
    """For every pair of counts that the two most frequent of n samples can have: a vote with these."""
    for first in range(1, n + 1):
        for second in range(min(first, n - first) + 1):
            rest = n - first - second
            if second or not rest:
                whole, part = divmod(rest, max(second, 1))
                yield (first, second, *[second] * whole, part)


# -- the same answers as the main path


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("noise", ["discrete", "rounded"])
def test_a_certificate_for_every_count(n: int, noise: str) -> None:
    tables = DeviceTables.build("0.25", 10, n, "0.001", noise)
    law = noise_law(noise, "63.75")
    for k in range(n + 1):
        expected = certified_count(k, n, PERMILLE, law.sigma_px, noise_charge(law.total_variation))[1]
        assert tables.certify([2, 8, 0], [0, k, n - k]) == (1, expected)


@pytest.mark.parametrize("alpha", ["0.001", "0.05", "0.25", "0.49"])
def test_a_prediction_for_every_vote_of_100(alpha: str) -> None:
    """0.25 is dyadic, so that some votes reach the level exactly."""
    tables = DeviceTables.build("0.25", 10, 100, alpha)
    named = [tables.predict(vote) for vote in votes(100)]
    assert named == [decide_prediction(vote, Fraction(alpha)).label for vote in votes(100)]
    assert set(named) == {0, ABSTAIN}


@pytest.mark.parametrize("alpha", ["0.001", "0.125", "1e-9"])
def test_the_critical_value_of_every_total_up_to_1000(alpha: str) -> None:
    found = DeviceTables.build("0.25", 10, 1000, alpha).needed
    assert found.tolist() == [critical_count(m, Fraction(alpha)) for m in range(1001)]


def test_a_sample_of_100_000(large: DeviceTables) -> None:
    random = np.random.default_rng(0)
    law = noise_law("discrete", "63.75")
    for k in [0, 50_000, 50_488, 50_489, 50_490, 99_999, 100_000, *random.integers(50_000, 100_001, 30).tolist()]:
        expected = certified_count(k, 100_000, PERMILLE, law.sigma_px, noise_charge(law.total_variation))[1]
        assert large.certify([100, 0], [k, 100_000 - k]) == (0, expected)
    for m in [0, 10, 11, 99_999, 100_000, *random.integers(0, 100_001, 30).tolist()]:
        assert large.needed[m] == critical_count(m, PERMILLE)


def network() -> IntegerNetwork:
    """Three classes by the brightness of a 2 x 2 image, nothing but integers."""
    law = Requantise(np.array([1], np.int32), np.array([2], np.uint8), -127, 127)
    weight = np.array([[-2, -1, -2, -1], [0, 0, 0, 0], [1, 2, 2, 1]], np.int8)
    return IntegerNetwork(
        [
            Input("input", (1, 2, 2), np.array([120], np.int32), law),
            Flatten("flat", 0),
            Linear("fc", 1, weight, np.array([0, 70, 0], np.int32), None),
        ]
    )


@pytest.mark.parametrize("noise", ["discrete", "rounded"])
def test_an_integer_network_from_end_to_end(noise: str) -> None:
    """Both ways are given the same images and keys; the device's way has only labels, counts and tables."""
    classifier = IntegerClassifier(network(), noise_law(noise, "25.5"))
    tables = DeviceTables.build("0.1", 20, 200, "0.001", noise)
    assert tables.noise_digest == classifier.noise.digest
    run = new_run(classifier, data="grey", data_digest="00" * 32, n0=20, n=200, alpha="0.001", nonce="5a" * 32)
    random, abstained, named = np.random.default_rng(3), 0, set()
    for index in range(60):
        image = (random.integers(40, 200) + random.integers(0, 40, (1, 2, 2))).astype(np.uint8)
        expected = certify(classifier, image, run, index)

        def counts(key: bytes, purpose: Purpose, n: int, image: np.ndarray = image) -> np.ndarray:
            address = Address(key, array_digest(image), purpose)
            return np.bincount(classifier.labels(image, address, 0, n), minlength=3)

        label, radius_sq_px = tables.certify(
            counts(run.run_key, Purpose.SELECT, 20), counts(run.run_key, Purpose.ESTIMATE, 200)
        )
        assert (label, radius_sq_px) == (expected.label, expected.radius_sq_px)
        key = query_key(b"\x07" * 32, index)
        answer = tables.predict(counts(key, Purpose.PREDICT, 200))
        assert answer == predict(classifier, image, 200, PERMILLE, key=key).label
        abstained += (radius_sq_px == ABSTAIN) + (answer == ABSTAIN)
        named |= {label, answer}
    assert abstained
    assert named == {ABSTAIN, 0, 1, 2}


# -- select, predict, covers


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_the_selected_class_is_the_first_of_the_most_frequent(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint16)
    assert select(counts) == Tally.of(labels, len(counts)).top
    assert select(np.array(counts, np.uint32)) == select(counts)


@pytest.mark.parametrize(
    ("vote", "label"),
    [
        ([67, 33], 0), ([66, 34], ABSTAIN), ([33, 67], 1), ([34, 66], ABSTAIN), ([50, 50], ABSTAIN), ([100], 0),
        ([0, 0, 100], 2), ([45, 10, 45], ABSTAIN), ([20, 60, 20], 1), ([40, 30, 30], ABSTAIN),
    ],
)  # fmt: skip
def test_predictions_by_hand(vote: list[int], label: int, tables: DeviceTables) -> None:
    """Of 100, 90, 80 and 70 in the two top classes 67, 61, 56 and 50 are needed."""
    assert tables.predict(vote) == label
    assert tables.predict(np.array(vote, np.uint8)) == label


@given(st.lists(st.integers(-32767, 32767), min_size=1, max_size=20), st.integers(-1, 1))
def test_the_border_belongs_to_the_ball(delta: list[int], beyond: int) -> None:
    square = sum(d * d for d in delta)
    for dtype in (np.int16, np.int32, np.int64):
        assert covers(np.array(delta, dtype), square + beyond) == (beyond >= 0)


def test_an_abstention_covers_nothing() -> None:
    assert covers(np.zeros((1, 2, 2), np.int16), 0)
    assert not covers(np.zeros((1, 2, 2), np.int16), ABSTAIN)


def test_the_largest_perturbation_is_summed_exactly() -> None:
    delta = np.full(1 << 24, -32767, np.int16)
    square = 32767**2 << 24
    assert square > 2**53
    assert covers(delta, square)
    assert not covers(delta, square - 1)


# -- integers only

RUN_TIME = ["certify", "predict", "select", "covers", "query_key", "_integers", "_votes"]
CALLS = {
    "ParameterError", "_integers", "_votes", "any", "astype", "hashlib.sha256", "index", "digest", "int", "isinstance",
    "len", "max", "min", "operator.index", "reshape", "select", "sum", "to_bytes", "type",
}  # fmt: skip


def run_time_code(source: str) -> list[ast.FunctionDef]:
    tree = ast.parse(source)
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in RUN_TIME]


def floats_in(function: ast.FunctionDef) -> list[str]:
    """What could make a float: literals, divisions, powers, float types, and calls of anything that is not on the list."""
    found = []
    for node in ast.walk(function):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        operation = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div | ast.Pow)
        named = isinstance(node, ast.Name | ast.Attribute) and "float" in ast.unparse(node)
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else "int"
        unknown = not {called, called.rpartition(".")[2]} & CALLS
        if literal or operation or named or unknown:
            found.append(ast.unparse(node))
    return found


def test_nothing_at_run_time_can_make_a_float() -> None:
    functions = run_time_code(Path(on_device.__file__).read_text())
    assert sorted(f.name for f in functions) == sorted(RUN_TIME)
    assert [text for function in functions for text in floats_in(function)] == []


@pytest.mark.parametrize("line", ["a / b", "a ** b", "0.5", "float(a)", "np.float64(a)", "a.mean()", "math.sqrt(a)"])
def test_a_float_would_be_seen(line: str) -> None:
    (function,) = run_time_code(f"def select(a, b):\n    return {line}")
    assert floats_in(function)


def test_no_value_at_run_time_is_a_float(tables: DeviceTables) -> None:
    """Every variable after every line, as it runs."""
    seen: list[Any] = []

    def is_float(value: Any) -> bool:
        return isinstance(value, float | np.floating) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")

    def watch(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == on_device.__file__:
            seen.append([v for v in [*frame.f_locals.values(), argument if event == "return" else 0] if is_float(v)])
            return watch
        return None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        tables.certify(np.array([1, 19], np.int32), [3, 97])
        tables.predict([40, 60])
        covers(np.array([3, 4], np.int16), 25)
        query_key(bytes(32), 5)
    finally:
        sys.settrace(before)
    assert len(seen) > 20
    assert [values for values in seen if values] == []


def test_tables_hold_integers(tables: DeviceTables) -> None:
    assert (tables.needed.dtype, tables.radius_sq_px.dtype) == (np.uint32, np.int64)
    assert not tables.needed.flags.writeable
    assert not tables.radius_sq_px.flags.writeable


@pytest.mark.parametrize(
    "counts", [[50.0, 50.0], np.array([100.0, 0.0]), ["100", "0"], [None], 100, [], [-1, 101], [Fraction(100)]]
)
def test_counts_that_are_no_counts_are_refused(counts: Any, tables: DeviceTables) -> None:
    for ask in (select, tables.predict, lambda c: tables.certify([20, 0], c), lambda c: tables.certify(c, [100, 0])):
        with pytest.raises(ParameterError, match="counts"):
            ask(counts)


@pytest.mark.parametrize("delta", [np.zeros(3), np.zeros(3, np.uint8), np.zeros(3, bool), [1, 2], None])
def test_perturbations_that_are_not_signed_integers_are_refused(delta: Any) -> None:
    """Above all the difference of two uint8 images, which has wrapped around."""
    with pytest.raises(ParameterError, match="signed integers"):
        covers(delta, 10)


def test_perturbations_that_could_overflow_are_refused() -> None:
    for extreme in (1 << 15, -(1 << 15), 2**62, -(2**63)):
        with pytest.raises(ParameterError, match="2\\^15"):
            covers(np.array([0, extreme], np.int64), 10)
    with pytest.raises(ParameterError, match="2\\^24"):
        covers(np.zeros((1 << 24) + 1, np.int8), 10)
    with pytest.raises(TypeError):
        covers(np.array([3, 4]), 25.0)  # type: ignore[arg-type]


def test_another_number_of_samples_is_refused(tables: DeviceTables) -> None:
    for vote in ([99, 0], [101, 0]):
        with pytest.raises(ParameterError, match=f"of {sum(vote)} samples, not of 100: .* fixed in advance"):
            tables.predict(vote)
        with pytest.raises(ParameterError, match="fixed in advance"):
            tables.certify([20, 0], vote)
    with pytest.raises(ParameterError, match="21 samples, not of 20"):
        tables.certify([21, 0], [100, 0])
    with pytest.raises(ParameterError, match="2 and of 3 classes"):
        tables.certify([20, 0], [100, 0, 0])


# -- keys


def test_every_query_has_its_own_key() -> None:
    keys = [query_key(secret * 32, number) for secret in (b"a", b"b") for number in (0, 1, 255, 256, 2**64 - 1)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}
    text = b"holdfast query key\0" + b"a" * 32 + bytes([255]) + bytes(7)
    assert keys[2] == hashlib.sha256(text).digest()


@pytest.mark.parametrize(("secret", "number"), [(b"short", 0), (bytes(33), 0), (bytes(32), -1), (bytes(32), 1 << 64)])
def test_unsuitable_secrets_and_numbers_are_refused(secret: bytes, number: int) -> None:
    with pytest.raises(ParameterError, match="32 bytes"):
        query_key(secret, number)


# -- building, keeping


@pytest.mark.parametrize(("alpha", "least"), [("0.001", 11), ("0.25", 3), ("0.49", 3)])
def test_too_few_samples_are_refused_with_the_number_needed(alpha: str, least: int) -> None:
    assert DeviceTables.build("0.25", 1, least, alpha).predict([least]) == 0
    with pytest.raises(ImpossibleRequest, match=f"n must be at least {least}$"):
        DeviceTables.build("0.25", 1, least - 1, alpha)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"noise": "continuous"}, "no exact radius table"), ({"sigma": "0"}, "sigma"), ({"alpha": "0.5"}, "alpha"),
        ({"n0": 0}, "n0"), ({"n0": 101}, "n0"), ({"sigma": 0.25}, "decimal string"), ({"n": -1}, "at least 11"),
    ],
)  # fmt: skip
def test_unsuitable_parameters_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        DeviceTables.build(**{"sigma": "0.25", "n0": 10, "n": 100, "alpha": "0.001"} | changes)


def test_progress_is_that_of_the_radii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    seen: list[tuple[int, int]] = []
    DeviceTables.build("0.25", 10, 1000, "0.001", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 500)]


def test_what_is_kept_is_what_is_read(tables: DeviceTables) -> None:
    copy = DeviceTables.from_bytes(tables.to_bytes())
    assert copy.to_bytes() == tables.to_bytes()
    assert (copy.sigma, copy.alpha, copy.noise, copy.n0, copy.n) == ("0.25", "0.001", "discrete", 20, 100)
    assert np.array_equal(copy.needed, tables.needed)
    assert np.array_equal(copy.radius_sq_px, radius_table("0.25", 100, "0.001"))
    assert copy.certify([20, 0], [100, 0]) == tables.certify([20, 0], [100, 0])


def test_equal_parameters_give_equal_bytes(tables: DeviceTables) -> None:
    assert DeviceTables.build(Fraction(1, 4), 20, 100, Fraction(1, 1000)).to_bytes() == tables.to_bytes()


@given(st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    raw = DeviceTables.build("0.25", 1, 12, "0.001").to_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    flipped = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    for bad in (flipped, raw[:at], raw + b"\0", b""):
        with pytest.raises(FileError, match="no device tables of version 1, or they are damaged"):
            DeviceTables.from_bytes(bad)


def sealed(raw: bytes, change: Callable[[dict[str, Any]], Any], arrays: Callable[[bytes], bytes] = bytes) -> bytes:
    """A forgery whose digest is right."""
    magic, head, body = raw[:-32].split(b"\n", 2)
    text = json.dumps(change(json.loads(head))).encode()
    body = b"\n".join((magic, text, arrays(body)))
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda head: [],
        lambda head: head | {"more": 1},
        lambda head: {name: head[name] for name in head if name != "alpha"},
        lambda head: head | {"n": 99},
        lambda head: head | {"n": -1},
        lambda head: head | {"n": 10**30},
        lambda head: head | {"n": True},
        lambda head: head | {"n": 100.0},
        lambda head: head | {"n0": 101},
        lambda head: head | {"n0": 0},
        lambda head: head | {"noise": "continuous"},
    ],
)
def test_a_forged_header_is_refused(change: Callable[[dict[str, Any]], Any], tables: DeviceTables) -> None:
    with pytest.raises(FileError, match="not valid"):
        DeviceTables.from_bytes(sealed(tables.to_bytes(), change))
    assert DeviceTables.from_bytes(sealed(tables.to_bytes(), dict)).n == 100


@pytest.mark.parametrize("arrays", [lambda _: b"", lambda b: b + bytes(12), lambda b: b[:-1]])
def test_arrays_of_another_length_are_refused(arrays: Callable[[bytes], bytes], tables: DeviceTables) -> None:
    with pytest.raises(FileError, match="not valid"):
        DeviceTables.from_bytes(sealed(tables.to_bytes(), dict, arrays))


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("needed", 100, 50), ("needed", 0, 0), ("needed", 5, 7), ("needed", 60, 61), ("needed", 60, 31),
        ("radius_sq_px", 50, 0), ("radius_sq_px", 100, 0), ("radius_sq_px", 0, -2), ("radius_sq_px", 80, 10**9),
    ],
)  # fmt: skip
def test_numbers_that_no_table_has_are_refused(name: str, at: int, value: int, tables: DeviceTables) -> None:
    table = getattr(tables, name).copy()
    table[at] = value
    with pytest.raises(ParameterError, match=f"{name} must not decrease"):
        replace(tables, **{name: table})


@pytest.mark.parametrize("name", ["needed", "radius_sq_px"])
def test_arrays_of_another_kind_are_refused(name: str, tables: DeviceTables) -> None:
    table = getattr(tables, name)
    for bad in (table.astype(np.float64), table[:-1], table.reshape(1, -1)):
        with pytest.raises(ParameterError, match=f"{name} must be .* of length n \\+ 1 = 101"):
            replace(tables, **{name: bad})


# -- the page


def rows(title: str) -> list[list[str]]:
    """The numbers of the table on the page whose first column has this title."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {title} |"))
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[start:] if line.startswith("|")]
    return cells[2 : 2 + lines[start:].index("") - 2]


def test_the_sizes_on_the_page_are_those_of_the_tables(large: DeviceTables) -> None:
    medium = DeviceTables.build("0.25", 100, 1000, "0.001")
    assert rows("n") == [
        [f"{t.n:,}".replace(",", " ") for t in [t]]
        + [f"{size:,}".replace(",", " ") for size in (t.needed.nbytes, t.radius_sq_px.nbytes, len(t.to_bytes()))]
        for t in (medium, large)
    ]


def test_the_sizes_of_the_noise_on_the_page_are_right() -> None:
    expected = []
    for sigma in ("0.12", "0.25", "0.5", "1"):
        table = noise_law("discrete", Fraction(sigma) * 255).table  # type: ignore[attr-defined]
        expected.append([sigma, str(len(table.thresholds)), f"{table.limbs.nbytes:,}".replace(",", " ")])
    assert rows("sigma") == expected
