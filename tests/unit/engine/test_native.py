"""How the native engine is called: statuses, arrays, instruction sets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from native_engine import NEEDED

from holdfast.engine import native
from holdfast.engine.native import STATUS_ERRORS, NativeNetwork, encode
from holdfast.errors import HoldfastError, MissingDependency, ParameterError
from holdfast.intnet import IntegerNetwork
from holdfast.noise import DiscreteGaussian
from holdfast.noise.native import sampler

pytestmark = NEEDED
HEADER = Path(__file__).parents[3] / "native" / "include" / "holdfast.h"


def test_every_status_has_its_exception() -> None:
    statuses = {int(number) for number in re.findall(r"HF_[A-Z_]+ = (\d+),? *\/\*", HEADER.read_text())}
    assert statuses == set(STATUS_ERRORS)


@pytest.mark.parametrize("status", STATUS_ERRORS)
def test_a_status_is_raised_as_its_exception(status: int) -> None:
    def engine() -> None:
        raise native._native.EngineError(status, "what was wrong")

    with pytest.raises(STATUS_ERRORS[status], match="native engine: what was wrong"):
        native._call(engine)
    assert issubclass(STATUS_ERRORS[status], HoldfastError)


def test_arrays_are_never_cast_in_silence(integer_network: IntegerNetwork) -> None:
    words, weights = encode(integer_network)
    for bad in (words.astype(np.int64), words.astype(np.float32), words[::2], words.tolist()):
        with pytest.raises(TypeError):
            native._native.Plan(bad, weights, "portable")
    for bad in (weights.view(np.uint8), weights[::2]):
        with pytest.raises(TypeError):
            native._native.Plan(words, bad, "portable")
    good = native._native.Plan(words, weights, "portable")
    batch, logits = (
        np.zeros((2, *integer_network.shape), np.int16),
        np.empty((2, integer_network.num_classes), np.int32),
    )
    for images, out in ((batch.astype(np.int32), logits), (batch, logits.astype(np.int64)), (batch[..., ::-1], logits)):
        with pytest.raises(TypeError):
            good.run(images, 1, out)
    for images, out in ((batch[:, :2].copy(), logits), (batch, logits[:1]), (batch, logits[:, :1].copy())):
        with pytest.raises(native._native.EngineError, match="another shape"):
            good.run(images, 1, out)
    noise = sampler(DiscreteGaussian("3").table)
    with pytest.raises(native._native.EngineError, match="another shape"):
        good.label(noise, np.zeros((1, 2, 3), np.uint8), 1, 2, 0, False, 1, np.empty(3, np.uint16))


def test_images_of_another_shape_or_dtype(integer_network: IntegerNetwork) -> None:
    engine = NativeNetwork(integer_network)
    for bad in (
        np.zeros((1, 3, 6, 8), np.int16),
        np.zeros((1, *integer_network.shape), np.float32),
        np.zeros(integer_network.shape, np.int16),
    ):
        with pytest.raises(ParameterError, match="uint8 or int16 images"):
            engine.logits(bad)
    for bad_image in (np.zeros((3, 6, 8), np.uint8), np.zeros(integer_network.shape, np.int16)):
        with pytest.raises(ParameterError, match="uint8 image"):
            engine.labels(bad_image, DiscreteGaussian("3").table, (1, 2), 0, 1)
    flipped = np.arange(np.prod(integer_network.shape), dtype=np.uint8).reshape(1, *integer_network.shape)[..., ::-1]
    np.testing.assert_array_equal(engine.logits(flipped), integer_network.logits(flipped))


def test_instruction_sets_are_chosen_by_name(integer_network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NativeNetwork(integer_network, "portable").isa == "portable"
    assert NativeNetwork(integer_network).isa == [name for name, here in native.isas().items() if here][-1]
    monkeypatch.setenv("HOLDFAST_ISA", "portable")
    assert NativeNetwork(integer_network).isa == "portable"
    monkeypatch.setenv("HOLDFAST_ISA", "sse9")
    with pytest.raises(ParameterError, match="this build has no instruction set 'sse9'"):
        NativeNetwork(integer_network)
    for name in [name for name, here in native.isas().items() if not here]:
        with pytest.raises(ParameterError, match=f"does not have the instruction set {name}"):
            NativeNetwork(integer_network, name)


def test_instruction_sets_of_other_processors(integer_network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "isas", lambda: {"portable": True, "sse9": False})
    with pytest.raises(ParameterError, match="this processor does not have the instruction set sse9"):
        NativeNetwork(integer_network, "sse9")


@pytest.mark.parametrize("name", ["a" + "é" * 30, "x\udc80", "portable\0junk", "Portable", " portable", "s" * 10_000])
def test_names_of_no_instruction_set(integer_network: IntegerNetwork, name: str) -> None:
    """Whatever the text is, even if it is none: one line, which can be printed."""
    with pytest.raises(ParameterError) as caught:
        NativeNetwork(integer_network, name)
    said = str(caught.value)
    assert said == f"native engine: this build has no instruction set {name[:40]!r}"
    assert said.isprintable(), said.encode()


def test_without_the_engine(integer_network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_NATIVE", "0")
    assert native.isas() == {}
    with pytest.raises(MissingDependency, match="use the reference engine"):
        NativeNetwork(integer_network)


def test_the_engine_needs_no_torch() -> None:
    """``engine.native`` belongs to the trusted core: it must run where torch is not even installed."""
    code = "import sys; sys.modules['torch'] = None; import holdfast.engine.native as n; print(sorted(n.isas()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "portable" in found.stdout
