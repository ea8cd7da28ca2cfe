"""The known answers under tests/vectors: up to date, and reproduced by every sampler."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from holdfast.noise import noise_law
from holdfast.noise.sampler import sample_table
from holdfast.noise.tables import NoiseTable

FOLDER = Path(__file__).parents[2] / "vectors"
SAMPLERS = ["numpy", "native"]


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_vectors", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sampler(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return sample_table if request.param == "numpy" else request.getfixturevalue("native_sample_table")


@pytest.mark.parametrize("name", ["philox", "tables", "noise", "ties"])
def test_the_files_are_what_the_specification_gives(name: str, generator: ModuleType) -> None:
    """Nothing in them can change without being seen: it would break the replay of every ledger."""
    assert (FOLDER / f"{name}.json").read_text() == generator.text(generator.FILES[name]()) + "\n"


def test_they_hold_random123s_known_answers() -> None:
    words = [" ".join(f"{w:08x}" for w in block["words"]) for block in load("philox")["blocks"][:3]]
    assert words == [
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ]


def test_digests_of_the_noise_tables_are_pinned() -> None:
    """A run names its table by this digest."""
    cases = load("tables")
    assert len({case["digest"] for case in cases}) == len(cases) == 20
    for case in cases:
        noise = noise_law(case["law"], case["sigma_px"])
        assert noise.digest == case["digest"]
    pinned = {(c["law"], c["sigma_px"]): c["digest"][:16] for c in cases}
    assert pinned["discrete", "30.6"] == "fba84bc064e42dd7"
    assert pinned["rounded", "30.6"] == "a43f40dec93b8620"


@pytest.mark.parametrize("sampler", SAMPLERS, indirect=True)
def test_samples_of_both_laws(sampler: Callable[..., Any]) -> None:
    cases = load("noise")
    assert len(cases) == 50
    for case in cases:
        table: NoiseTable = noise_law(case["law"], case["sigma_px"]).table  # type: ignore[attr-defined]
        expected = np.array(case["samples"])
        found = sampler(table, tuple(case["key"]), int(case["start"], 16), len(expected), case["dimension"])
        assert found.dtype == np.int16
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("sampler", SAMPLERS, indirect=True)
def test_forced_ties_are_resolved_with_all_128_bits(sampler: Callable[..., Any]) -> None:
    for case in load("ties"):
        table = NoiseTable(case["low"], tuple(int(t, 16) for t in case["thresholds"]))
        expected = np.array(case["samples"])
        found = sampler(table, tuple(case["key"]), int(case["start"], 16), len(expected), case["dimension"])
        assert np.array_equal(found, expected)


def test_the_ties_need_every_word(generator: ModuleType) -> None:
    """A sampler that looked at fewer words would give other answers: so these vectors can fail."""
    for bits in (32, 64, 96):
        wrong = 0
        for case in load("ties"):
            table = NoiseTable(case["low"], tuple(int(t, 16) for t in case["thresholds"]))
            for i, row in enumerate(case["samples"]):
                for j, value in enumerate(row):
                    u = generator.uniform(tuple(case["key"]), int(case["start"], 16) + i, j)
                    wrong += table.by_integer(u >> (128 - bits) << (128 - bits)) != value
        assert wrong > 5
