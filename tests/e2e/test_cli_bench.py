"""``holdfast bench``: what stands in its table, and what it says instead. How fast anything is, is no matter here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.engine import native

Run = Callable[..., Any]
BRIEFLY = ("--rounds", 2, "--seconds", 0.01)
TORCH = ["torch float32", "torch float32, channels_last", "torch bfloat16, channels_last"]
COMPILED = ["torch float32, compiled", "torch bfloat16, compiled"]


def model(suffix: str) -> Path:
    return Path(__file__).parents[2] / "studies" / "models" / f"digits-cnn-small-sigma0.15{suffix}"


def engines() -> list[tuple[str, int]]:
    """The contenders that run integer networks, with their threads."""
    here, cores = [name for name, supported in native.isas().items() if supported], native.usable_cores()
    every = [("reference", 1), *((f"native {isa}", 1) for isa in here)]
    return every + ([(f"native {here[-1]}", cores)] if here and cores > 1 else [])


def measured(answer: Any) -> list[tuple[str, int]]:
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["contenders"]
    for contender in found:
        assert len(contender["rounds"]) == 2
        assert min(contender["rounds"]) > 0
        assert min(contender["rounds"]) <= contender["median"] <= max(contender["rounds"])
    return [(contender["name"], contender["threads"]) for contender in found]


def test_a_float_network_meets_every_engine(holdfast: Run) -> None:
    answer = holdfast("bench", model(".safetensors"), *BRIEFLY, "--json")
    assert measured(answer) == [(name, 1) for name in TORCH] + engines()


def test_an_integer_network_is_run_by_the_engines_alone(holdfast: Run) -> None:
    assert measured(holdfast("bench", model(".hfi"), *BRIEFLY, "--json")) == engines()


@pytest.mark.usefixtures("compiler")
def test_the_float_network_compiled(holdfast: Run) -> None:
    answer = holdfast("bench", model(".safetensors"), *BRIEFLY, "--compile", "--json")
    assert measured(answer) == [(name, 1) for name in TORCH + COMPILED] + engines()
    refused = holdfast("bench", model(".hfi"), "--compile")
    assert refused.code == 2
    assert "an integer network has nothing to compile: give bench the float network" in refused.error


def test_a_table_for_people(holdfast: Run) -> None:
    answer = holdfast("bench", model(".hfi"), *BRIEFLY)
    lines = answer.out.splitlines()
    assert "multiplications an image; load of the machine" in lines[0]
    assert [line[:32].strip() for line in lines[2:]] == [name for name, _ in engines()]
    assert lines[2].split()[-2] == "1.00", "the first contender is the measure"
