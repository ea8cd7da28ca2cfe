"""Hostile programs: the native engine refuses what the network's own checks refuse, and runs the rest to equal logits."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from engine_programs import PASS, Layer, ProgramReader
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from native_engine import NEEDED

from holdfast.engine import native
from holdfast.engine.native import encode
from holdfast.errors import NetworkError
from holdfast.intnet import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    MaxPool,
    Pad,
    Rescale,
    Residual,
    Subsample,
)
from holdfast.intnet.shapes import output_shape

pytestmark = NEEDED


def plan(words: Any, weights: Any, isa: str | None = "portable") -> Any:
    return native._native.Plan(words, weights, isa)


def refusal(*arguments: Any) -> tuple[int, str]:
    with pytest.raises(native._native.EngineError) as caught:
        plan(*arguments)
    status, message = caught.value.args
    return status, message


def judged(words: Any, weights: Any) -> tuple[Any, int]:
    """The plan, or None; and the status."""
    try:
        return plan(words, weights), 0
    except native._native.EngineError as error:
        return None, error.args[0]


def test_programs_that_are_none(integer_network: IntegerNetwork) -> None:
    words, weights = encode(integer_network)
    empty, none = np.empty(0, np.int32), np.empty(0, np.int8)
    assert refusal(empty, none) == (2, "the program ends inside operation 0")
    assert refusal(words[1:], weights) == (2, "these words are no program")
    assert refusal(np.append(words, 0).astype(np.int32), weights) == (2, "1 words and 0 weights are left over")
    assert refusal(words, np.append(weights, np.int8(1))) == (2, "0 words and 1 weights are left over")
    assert refusal(words, weights[:-1])[0] == 2
    newer = words.copy()
    newer[1] = 2
    assert refusal(newer, weights) == (2, "law version 2 is unknown; this engine runs version 1")
    for length in range(len(words)):
        assert refusal(words[:length], weights)[0] in (2, 3)


def test_networks_that_break_the_law(integer_network: IntegerNetwork) -> None:
    words, weights = encode(integer_network)
    bad = weights.copy()
    bad[5] = -128
    assert refusal(words, bad) == (3, "operation 1: a weight is -128")
    overflow = [
        Input("input", (1, 1, 2), np.array([0], np.int32), PASS),
        Flatten("flatten", 0),
        Linear("fc", 1, np.ones((2, 2), np.int8), np.zeros(2, np.int32), None),
    ]
    words, weights = encode(IntegerNetwork(overflow))
    words[-2] = 2**31 - 1  # a bias: the words before are kind, source, residual, O, F; after it the law's 0
    status, message = refusal(words, weights)
    assert (status, "accumulator's limit" in message) == (3, True)


WORDS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([127, 128, -127, 1 << 16, (1 << 16) + 1, 1 << 22, (1 << 22) - 1, 1 << 28, 2**31 - 1, -(2**31)]),
)


def all_operations() -> IntegerNetwork:
    """One operation of each kind."""
    branch = [Subsample("thin", 1, (2, 1)), Pad("around", 2, (0, 0, 0), (1, 1, 0)), Rescale("scale", 1, PASS)]
    return IntegerNetwork(
        [
            Input("input", (2, 4, 3), np.zeros(2, np.int32), PASS),
            Conv("conv", 0, np.ones((3, 2, 1, 1), np.int8), np.zeros(3, np.int32), PASS),
            *branch,
            Flatten("a", 3),
            MaxPool("max", 4, (2, 2), (1, 1)),
            AvgPool("average", 4, (2, 2), (1, 1), PASS),
            Add("add", (6, 7), (1, 2), 2, -100, 100),
            Concat("both", (8, 7)),
            Flatten("b", 9),
            Linear("first", 5, np.ones((4, 36), np.int8), np.zeros(4, np.int32), PASS),
            Linear(
                "fc", 10, np.ones((4, 36), np.int8), np.zeros(4, np.int32), None, Residual(11, np.ones(4, np.int32))
            ),
        ]
    )


DAMAGED = {
    "a residual": Layer(4, 4, (3, 3), factor=9).network(),
    "groups and strides": Layer(4, 6, (4, 3), groups=2, stride=(2, 1)).network(),
    "all operations": all_operations(),
}


def test_every_operation_is_damaged() -> None:
    kinds = {type(op) for name in DAMAGED for op in DAMAGED[name].operations}
    assert len(kinds) == 11


@pytest.mark.parametrize("name", DAMAGED)
@given(st.data())
@settings(max_examples=250, suppress_health_check=list(HealthCheck))
def test_damaged_programs_are_judged_as_the_reference_judges_them(name: str, data: st.DataObject) -> None:
    """Both refuse, or both take the program and compute the same logits."""
    words, weights = encode(DAMAGED[name])
    for _ in range(data.draw(st.integers(1, 3))):
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(WORDS)
    if data.draw(st.booleans()):
        weights[data.draw(st.integers(0, len(weights) - 1))] = data.draw(st.integers(-128, 127))
    accepted, status = judged(words, weights)
    event(f"status {status}")
    if accepted is None:
        assert status in (2, 3, 6)
        if status != 6:  # memory is the engine's own matter
            with pytest.raises((NetworkError, EOFError, AssertionError, ValueError, OverflowError)):
                ProgramReader(words.tolist(), weights).network()
        return
    expected = ProgramReader(words.tolist(), weights).network()
    batch = np.arange(np.prod(expected.shape), dtype=np.int16).reshape(1, *expected.shape)
    logits = np.empty((1, expected.num_classes), np.int32)
    accepted.run(batch, 1, logits)
    np.testing.assert_array_equal(logits, expected.logits(batch))


@pytest.mark.parametrize(("stride", "accepted"), [(1 << 16, True), ((1 << 16) + 1, False)])
@pytest.mark.parametrize("side", [0, 1])
def test_the_largest_stride_of_a_subsample(stride: int, accepted: bool, side: int) -> None:
    """The network's own checks and the engine's end at the same number."""
    network = all_operations()
    words, weights = encode(network)
    at = words.tolist().index(10) + 2 + side
    assert words[at - 2 - side : at + 1 - side].tolist() == [10, 1, 2]
    words[at] = stride
    operation = Subsample("thin", 1, (stride, 1) if side == 0 else (2, stride))
    shapes = [(2, 4, 3), (3, 4, 3)]
    if accepted:
        assert output_shape(operation, shapes) == ((3, 1, 3) if side == 0 else (3, 2, 1))
        assert "a stride" not in refusal(words, weights)[1]  # its value fits nothing that follows
        return
    with pytest.raises(NetworkError, match="thin: Subsample strides must be at most 65536, not"):
        output_shape(operation, shapes)
    assert refusal(words, weights) == (3, "operation 2: a stride must lie in [1, 65536], not 65537")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (1 << 15, (2, "the weights end inside operation 2")),
        ((1 << 15) + 1, (3, "an operation has more than 2^30 weights")),
    ],
)
def test_the_most_weights_of_a_linear_layer(features: int, said: tuple[int, str]) -> None:
    """2^30 by both checks; the arrays are not there, only their sizes."""
    outputs = 1 << 15
    words = [0x48464931, 1, 3, 0, features, 1, 1, *[0] * features, 1, 0, 1, 1, 1, 8, 0]
    words += [2, 1, -1, outputs, features, *[0] * outputs, 0]
    assert refusal(np.array(words, np.int32), np.empty(0, np.int8)) == said
    if said[0] == 3:
        weight = np.broadcast_to(np.int8(1), (outputs, features))
        layer = Linear("fc", 0, weight, np.zeros(outputs, np.int32), None)
        with pytest.raises(NetworkError, match=re.escape("fc: Linear has more than 2^30 weights: (32768, 32769)")):
            output_shape(layer, [(features,)])
