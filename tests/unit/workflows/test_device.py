"""The golden inputs are the same everywhere; an engine that differs is named; one that is not here is said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from holdfast.cli.app import app
from holdfast.intnet import Flatten, Input, IntegerNetwork, Linear, Requantise
from holdfast.workflows import device


def network() -> IntegerNetwork:
    law = Requantise(np.array([1 << 20], np.int32), np.array([22], np.uint8), -127, 127)
    weight = (np.arange(36).reshape(3, 12) * 7 % 19 - 9).astype(np.int8)
    return IntegerNetwork(
        [
            Input("input", (3, 2, 2), np.array([120, 125, 130], np.int32), law),
            Flatten("flatten", 0),
            Linear("fc", 1, weight, np.array([5, 0, -5], np.int32), None),
        ]
    )


class Fake:
    """A native network of two instruction sets, one of them wrong in one logit."""

    def __init__(self, network: IntegerNetwork, isa: str) -> None:
        self.network, self.isa = network, isa

    def logits(self, images: NDArray[np.int16]) -> NDArray[np.int32]:
        found = self.network.logits(images)
        if self.isa == "wrong":
            found[2, 1] += 1
        return found


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    found = {"good": True, "absent": False}
    monkeypatch.setattr(device, "available", lambda: True)
    monkeypatch.setattr(device, "isas", lambda: found)
    monkeypatch.setattr(device, "NativeNetwork", Fake)
    return found


def test_golden_images_begin_with_the_rule_and_are_the_same_however_many_are_asked_for() -> None:
    few, many = device.golden_images((3, 2, 2), 3), device.golden_images((3, 2, 2), 7)
    assert few.dtype == np.int16
    assert few[0].reshape(-1).tolist() == [(i * 37 + 11) % 256 for i in range(12)]
    assert (many[:3] == few).all()
    assert len({image.tobytes() for image in many}) == 7


def test_an_equal_an_absent_and_a_different_engine(engines: dict[str, bool]) -> None:
    engines["wrong"] = True
    reference, good, absent, wrong = device.check_engines(network(), 4)
    assert (reference.engine, reference.equal) == ("reference", True)
    assert (good.equal, good.digest) == (True, reference.digest)
    assert (absent.equal, absent.digest) == (None, None)
    assert wrong.equal is False
    assert wrong.digest != reference.digest
    assert wrong.note == "logit 1 of golden input 2 differs"


@pytest.mark.usefixtures("engines")
def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "net.hfi"
    network().save(path)
    answer = CliRunner().invoke(app, ["verify-device", str(path), "--images", "3"])
    assert answer.exit_code == 0, answer.output
    digest = answer.output.split()[-1]
    assert "native absent        not here" in answer.output
    assert CliRunner().invoke(app, ["verify-device", str(path), "--images", "3", "--expect", digest]).exit_code == 0
    other = CliRunner().invoke(app, ["verify-device", str(path), "--images", "4", "--expect", digest])
    assert other.exit_code == 1
    assert f"EXPECTED {digest}" in other.output


def test_a_different_engine_is_a_failed_check(engines: dict[str, bool], tmp_path: Path) -> None:
    engines["wrong"] = True
    path = tmp_path / "net.hfi"
    network().save(path)
    answer: Any = CliRunner().invoke(app, ["verify-device", str(path), "--images", "4"])
    assert answer.exit_code == 1
    assert "native wrong         DIFFERENT, logit 1 of golden input 2 differs" in answer.output


def test_where_the_native_engine_is_not_built_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_NATIVE", "0")
    reference, native = device.check_engines(network(), 2)
    assert (reference.engine, reference.equal) == ("reference", True)
    assert (native.engine, native.equal, native.digest) == ("native", None, None)
    assert "not built here" in native.note
