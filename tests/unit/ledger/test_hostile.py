"""A ledger from a stranger is refused with a ledger error or read as what it says; it is never a traceback."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import LedgerError
from holdfast.ledger import Ledger, canonical_export, full_export, ledger_problems
from holdfast.records import Purpose


def everything(path: Path, run: Any) -> None:
    """What is done with somebody else's ledger."""
    with Ledger(path) as ledger:
        assert list(ledger_problems(ledger)) != []
        canonical_export(ledger)
        full_export(ledger)
        for found in ledger.runs():
            ledger.finished(found)
            str(found.id), found.sigma_px, found.run_key
        ledger.partial(run, 0, Purpose.SELECT)


BODIES = [
    "", "{", "null", "[]", "{}", '"run"', "[" * 100_000, "{\"n\": 1}", "\x00", "{\"a\":" * 5000, "1e999999", "NaN",
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:9] or "empty")
def test_a_run_record_that_is_none_is_refused(
    body: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "UPDATE runs SET body=?", body)
    with pytest.raises(LedgerError, match="a run record is damaged") as caught:
        everything(path, evidence.run())
    assert str(path) in str(caught.value)


HOSTILE_FIELDS: list[tuple[str, Any]] = [
    *[("sigma", value) for value in ("x", "1e999999999", "-1", "0", "1/0", "nan", "0" * 99, None, 0.5)],
    *[("alpha", value) for value in ("", "1e-999999999", "½", [])],
    *[("epsilon", value) for value in ("x", "1/0")],
    ("alpha_split", ["1e99999999"]),
    *[("n", value) for value in (0, -5, 2**24 + 1, 10**30, "many", 1.5)],
    *[("n0", value) for value in (0, 201, None)],
    *[("num_classes", value) for value in (0, 1, 10**9)],
    *[("shape", value) for value in ([], [1, 2], [1, -2, 2], "big")],
    *[("nonce", value) for value in ("", "zz" * 32, "ab" * 33, 7)],
    *[("classifier", value) for value in (None, [], 5)],
    ("looks", ["never"]),
    ("nonce_given", "perhaps"),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE_FIELDS, ids=lambda value: str(value)[:12])
def test_a_value_that_no_run_has_is_refused(
    field: str, value: Any, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, f"UPDATE runs SET body=json_set(body, '$.{field}', json(?))", json.dumps(value))
    with pytest.raises(LedgerError, match="a run record is damaged"):
        everything(path, evidence.run())


@pytest.mark.parametrize("facts", ['{"x": NaN}', '{"x": Infinity}', '{"x": ' + "[" * 300 + "]" * 300 + "}"])
def test_facts_that_are_no_json_values_are_refused(
    facts: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(
        path, "UPDATE runs SET body=replace(body, '\"classifier\": {', '\"classifier\": {\"y\": ' || ? || ', ')", facts
    )
    with pytest.raises(LedgerError, match="a run record is damaged"):
        everything(path, evidence.run())


HOSTILE_COLUMNS = [
    *[("counts", value) for value in ("", "[", "[1,2]", "[1,2,3,4]", "{}", '["1e999999999"]', "[1.5,2,3]", "null")],
    *[("selection_counts", value) for value in ("[]", "[20]", "[[20,0,0]]")],
    *[("p_lower", value) for value in ("", "nan", "inf", "-0.1", "1.5", "0x1", "many")],
    *[("p_upper", value) for value in ("nan", "-inf", "2")],
]


@pytest.mark.parametrize(("column", "value"), HOSTILE_COLUMNS, ids=str)
def test_a_certificate_that_is_none_is_refused(
    column: str, value: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]
) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0, 1])
    edit(path, f"UPDATE certificates SET {column}=? WHERE idx=1", value)
    with pytest.raises(LedgerError, match=f"certificate of input 1 of run {evidence.run().id} is damaged"):
        everything(path, evidence.run())


@pytest.mark.parametrize("digest", ["", "short", "Z" * 64, "é" * 64])
def test_a_digest_that_is_none_is_refused(digest: str, tmp_path: Path, evidence: Any, edit: Callable[..., int]) -> None:
    path = evidence.ledger(tmp_path / "a.ledger", [0])
    edit(path, "UPDATE inputs SET digest=?", digest)
    with pytest.raises(LedgerError, match="is damaged"):
        everything(path, evidence.run())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["1/3", "9" * 70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    "sigma",
    "alpha",
    "epsilon",
    "n",
    "n0",
    "num_classes",
    "shape",
    "nonce",
    "classifier",
    "looks",
    "alpha_split",
    "data",
]


@settings(max_examples=50)
@given(field=st.sampled_from(FIELDS), value=JSON, counts=JSON, body=st.binary(max_size=30))
def test_no_content_is_a_traceback(
    tmp_path_factory: pytest.TempPathFactory,
    evidence: Any,
    edit: Callable[..., int],
    field: str,
    value: Any,
    counts: Any,
    body: bytes,
) -> None:
    path = evidence.ledger(tmp_path_factory.mktemp("hostile") / "a.ledger", [0])
    record = json.loads(Ledger(path).rows("SELECT body FROM runs")[0][0])
    edit(path, "UPDATE runs SET body=?", json.dumps(record | {field: value}))
    edit(path, "UPDATE certificates SET selection_counts=?", json.dumps(counts))
    edit(path, "UPDATE labels SET body=?", zlib.compress(body))
    with suppress(LedgerError):
        everything(path, evidence.run())
