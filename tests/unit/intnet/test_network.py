"""What an integer network is: shapes, ranges and digest; and everything that is refused, with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from holdfast.errors import NetworkError, ParameterError
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
    Op,
    Pad,
    Requantise,
    Rescale,
    Residual,
    Subsample,
)

ONE = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
TWO = Requantise(np.array([1, 2], np.int32), np.array([1, 2], np.uint8), -127, 127)
START = Input("in", (2, 4, 5), np.zeros(2, np.int32), ONE)
FLAT = Flatten("flat", 0)
FLAT_ONE = Input("in", (1, 1, 1), np.zeros(1, np.int32), ONE)


def conv(**changes: Any) -> Conv:
    given = {"weight": np.ones((2, 2, 3, 3), np.int8), "bias": np.zeros(2, np.int32), "requantise": ONE} | changes
    return Conv("conv", 0, **given)


def linear(**changes: Any) -> Linear:
    given = {"weight": np.ones((3, 40), np.int8), "bias": np.zeros(3, np.int32), "requantise": None} | changes
    return Linear("fc", 1, **given)


def factors(*numbers: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(numbers, np.int32)


REFUSED_OPERATION: dict[str, tuple[Op, str]] = {
    "no bytes": (conv(weight=np.ones((2, 2, 3, 3), np.int16)), "conv: Conv weights must be int8 with 4 axes"),
    "three axes": (conv(weight=np.ones((2, 2, 3), np.int8)), "int8 with 4 axes"),
    "no weights": (conv(weight=np.ones((2, 2, 0, 3), np.int8)), "has no weights"),
    "-128": (conv(weight=np.full((2, 2, 3, 3), -128, np.int8)), "not -128"),
    "wide bias": (conv(bias=np.zeros(2, np.int64)), "bias must be int32, one per output"),
    "three biases": (conv(bias=np.zeros(3, np.int32)), "bias must be int32, one per output"),
    "groups 0": (conv(groups=0), "2 outputs do not split into 0 groups"),
    "three groups": (conv(groups=3), "2 outputs do not split into 3 groups"),
    "other channels": (conv(weight=np.ones((2, 3, 1, 1), np.int8)), "weights for 3 channels read 2"),
    "stride 0": (conv(stride=(0, 1)), "kernel, stride, dilation must be 1 to 65536"),
    "dilation 65537": (conv(dilation=(1, 65537)), "kernel, stride, dilation must be 1 to 65536"),
    "padding -1": (conv(padding=(0, -1, 0, 0)), "padding must be 0 to 65536"),
    "padding 65537": (conv(padding=(0, 0, 0, 65537)), "padding must be 0 to 65536"),
    "a large window": (conv(dilation=(2, 1)), "has a window that does not fit into (2, 4, 5)"),
    "much padding": (conv(padding=(16384, 0, 16384, 0), stride=(9, 9)), "pads (2, 4, 5) to more than 2^28 elements"),
    "three multipliers": (
        conv(requantise=Requantise(factors(1, 1, 1), np.ones(3, np.uint8), 0, 1)),
        "3 multipliers for 2 channels",
    ),
    "wide factors": (
        conv(weight=np.ones((2, 2, 1, 1), np.int8), residual=Residual(0, np.ones(2, np.int64))),
        "residual factors are int32, one per output",
    ),
    "one factor": (
        conv(weight=np.ones((2, 2, 1, 1), np.int8), residual=Residual(0, factors(1))),
        "factors are int32, one",
    ),
    "a negative factor": (
        conv(weight=np.ones((2, 2, 1, 1), np.int8), residual=Residual(0, factors(1, -1))),
        "residual factors must not be negative",
    ),
    "another residual": (conv(residual=Residual(0, factors(1, 1))), "adds a residual of shape (2, 4, 5) to (2, 2, 3)"),
    "a large sum": (
        conv(bias=factors(0, (1 << 31) - 1)),
        "conv: the accumulator of channel 1 could reach 2147485933, beyond 2^31 - 1; the weights, the bias",
    ),
    "a large product": (
        conv(
            bias=factors(0, (1 << 31) - 10**4),
            requantise=Requantise(factors((1 << 22) - 1), np.array([52], np.uint8), 0, 1),
        ),
        "conv: the product of channel 1 could reach",
    ),
    "a large residual": (
        conv(weight=np.ones((2, 2, 1, 1), np.int8), residual=Residual(0, factors(1, (1 << 31) // 127))),
        "conv: the accumulator of channel 1 could reach",
    ),
    "linear, an image": (Linear("fc", 0, np.ones((2, 2), np.int8), factors(0, 0), None), "flatten it first"),
    "add, other shapes": (Add("add", (0, 1), (1, 1), 1, 0, 1), "adds values of shapes (2, 4, 5) and (40,)"),
    "add, negative": (Add("add", (0, 0), (1, -1), 1, 0, 1), "multipliers must lie in [0, 2^22)"),
    "add, large": (Add("add", (0, 0), (1 << 22, 1), 1, 0, 1), "multipliers must lie in [0, 2^22)"),
    "add, shift 0": (Add("add", (0, 0), (1, 1), 0, 0, 1), "the shift must lie in [1, 52], not 0"),
    "add, shift 53": (Add("add", (0, 0), (1, 1), 53, 0, 1), "the shift must lie in [1, 52], not 53"),
    "add, low -128": (Add("add", (0, 0), (1, 1), 1, -128, 1), "needs -127 <= low <= high <= 127, not -128, 1"),
    "add, crossed": (Add("add", (0, 0), (1, 1), 1, 3, 2), "low <= high"),
    "concat, nothing": (Concat("join", ()), "needs at least one source"),
    "concat, others": (Concat("join", (0, 1)), "joins values of shapes"),
    "rescale, three": (
        Rescale("half", 0, Requantise(factors(1, 1, 1), np.ones(3, np.uint8), 0, 1)),
        "3 multipliers for 2",
    ),
    "average, three": (
        AvgPool("mean", 0, (2, 2), (2, 2), Requantise(factors(1, 1, 1), np.ones(3, np.uint8), 0, 1)),
        "3 multipliers for 2 channels",
    ),
    "average, large": (AvgPool("mean", 0, (5, 5), (1, 1), None), "has a window that does not fit"),
    "maximum of nothing": (
        MaxPool("max", 0, (2, 2), (1, 1), (2, 0, 0, 0)),
        "window 0 lies wholly in the padding, where nothing can win",
    ),
    "maximum of nothing, below": (MaxPool("max", 0, (2, 2), (2, 2), (0, 2, 0, 0)), "window 2 lies wholly"),
    "maximum of nothing, between": (
        MaxPool("max", 0, (1, 2), (1, 1), (0, 0, 1, 5), (1, 6)),
        "window 0 lies wholly in the padding",
    ),
    "pool, kernel 0": (MaxPool("max", 0, (0, 1), (1, 1)), "kernel, stride, dilation must be 1 to 65536"),
    "pool, flat": (MaxPool("max", 1, (1, 1), (1, 1)), "max: MaxPool reads a (C, H, W) value, not (40,)"),
    "flatten, flat": (Flatten("again", 1), "again: Flatten reads a (C, H, W) value, not (40,)"),
    "pad, negative": (Pad("pad", 0, (0, -1, 0), (0, 0, 0)), "padding must be 0 to 65536"),
    "pad, wide": (Pad("pad", 0, (0, 0, 0), (65537, 0, 0)), "padding must be 0 to 65536"),
    "pad, many": (Pad("pad", 0, (0, 65000, 65000), (0, 0, 0)), "more than 2^28 elements"),
    "subsample, 0": (Subsample("thin", 0, (1, 0)), "strides must be at least 1, not (1, 0)"),
    "a name of nobody": (replace(conv(), name=""), "operation 2: a name has 1 to 200 printable characters"),
    "a name of two lines": (replace(conv(), name="a\nb"), "operation 2: a name has"),
    "a long name": (replace(conv(), name="a" * 201), "operation 2: a name has"),
    "itself": (replace(conv(), source=2), "conv: operation 2 reads value 2, which is not an earlier one"),
    "before the first": (replace(conv(), source=-1), "reads value -1, which is not an earlier one"),
    "a later residual": (conv(residual=Residual(3, factors(1, 1))), "reads value 3, which is not an earlier one"),
    "a second input": (START, "in: the first operation, and no other, is the input"),
}


@pytest.mark.parametrize("case", REFUSED_OPERATION)
def test_an_operation_that_breaks_the_law_is_refused(case: str) -> None:
    op, message = REFUSED_OPERATION[case]
    with pytest.raises(NetworkError, match=re.escape(message)):
        IntegerNetwork([START, FLAT, op])


REFUSED_NETWORK: dict[str, tuple[list[Op], str]] = {
    "nothing": ([], "a network has 2 to 16384 operations, not 0"),
    "an input alone": ([START], "not 1"),
    "no end": ([START] + [FLAT] * 16384, "not 16385"),
    "no input": ([FLAT, FLAT], "flat: the first operation, and no other, is the input"),
    "an input of two axes": ([replace(START, shape=(2, 4)), FLAT], "images are (C, H, W), not (2, 4)"),  # type: ignore[arg-type]
    "an empty input": ([replace(START, shape=(2, 0, 5)), FLAT], "images are (C, H, W), not (2, 0, 5)"),
    "a large input": ([replace(START, shape=(2, 1 << 23, 1)), FLAT], "gives an empty or huge value (2, 8388608, 1)"),
    "a huge input": ([replace(START, shape=(2, 1 << 14, 1 << 14)), FLAT], "more than 2^28 elements"),
    "wide centers": ([replace(START, center=np.zeros(2, np.int64)), FLAT], "center must be int32, one per channel"),  # type: ignore[arg-type]
    "one center": ([replace(START, center=factors(0)), FLAT], "center must be int32, one per channel"),
    "a center of nobody": ([replace(START, center=factors(0, -32768)), FLAT], "centers must lie in [-32767, 32767]"),
    "a multiplier too many": (
        [replace(START, requantise=Requantise(factors(1, 1, 1), np.ones(3, np.uint8), 0, 1)), FLAT],
        "3 multipliers for 2 channels",
    ),
    "many features": (
        [replace(START, shape=(2, 1024, 1024)), FLAT, FLAT],
        "flat: the network has more than 2^22 channels and features",
    ),
    "raw accumulators are read": (
        [START, conv(requantise=None), Rescale("half", 1, ONE), Flatten("flat", 2)],
        "half: reads raw accumulators, which only the logits may be",
    ),
    "flat raw accumulators are read": (
        [START, conv(requantise=None), Flatten("flat", 1), Rescale("half", 2, ONE)],
        "half: reads raw accumulators",
    ),
    "a value is never read": ([START, conv(), FLAT], "conv: value 1 is never read"),
    "an image is no logits": ([START, conv()], "conv: the logits must be one flat value of 2 to 65536 numbers"),
    "one logit": ([FLAT_ONE, FLAT], "flat: the logits must be one flat value"),
    "many logits": ([replace(START, shape=(2, 1, 32769)), FLAT], "flat: the logits must be one flat value"),
}


@pytest.mark.parametrize("case", REFUSED_NETWORK)
def test_operations_that_are_no_network_are_refused(case: str) -> None:
    operations, message = REFUSED_NETWORK[case]
    with pytest.raises(NetworkError, match=re.escape(message)):
        IntegerNetwork(operations)


def test_an_add_whose_product_leaves_2_to_the_53_cannot_be_written() -> None:
    """Its operands have 7 bits and its multipliers 22, so the bound is checked but never reached."""
    widest = Add("add", (0, 0), ((1 << 22) - 1,) * 2, 52, -127, 127)
    network = IntegerNetwork([START, widest, Flatten("flat", 1)])
    assert int(network.ranges[1].accumulator.max()) + (1 << 51) < 1 << 53


def test_a_window_beyond_a_dilated_gap_is_found() -> None:
    """One by one: with dilation, a window in the middle can step over all real values."""
    for size, kernel, stride, dilation, before, after in (
        (1, 2, 1, 2, 1, 1), (3, 3, 2, 4, 5, 5), (2, 2, 1, 5, 3, 3), (4, 2, 3, 1, 1, 1), (1, 3, 1, 3, 6, 6), (2, 3, 2, 2, 4, 1)
    ):  # fmt: skip
        count = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
        starts = [w * stride - before for w in range(count)]
        seen = [any(0 <= s + dilation * k < size for k in range(kernel)) for s in starts]
        first = replace(FLAT_ONE, shape=(2, 1, size), center=factors(0, 0))
        pool = MaxPool("max", 0, (1, kernel), (1, stride), (0, 0, before, after), (1, dilation))
        if all(seen):
            assert IntegerNetwork([first, pool, Flatten("flat", 1)]).values[1] == (2, 1, count)
        else:
            with pytest.raises(NetworkError, match=f"window {seen.index(False)} lies wholly"):
                IntegerNetwork([first, pool, Flatten("flat", 1)])


def test_shapes_and_classes_are_inferred() -> None:
    network = IntegerNetwork(
        [START, conv(padding=(1, 1, 1, 1), stride=(2, 2)), Flatten("flat", 1), replace(linear(), source=2,
         weight=np.ones((3, 12), np.int8))]
    )  # fmt: skip
    assert network.values == ((2, 4, 5), (2, 2, 3), (12,), (3,))
    assert (network.shape, network.num_classes) == ((2, 4, 5), 3)


def test_ranges_by_hand(law: Callable[..., Requantise]) -> None:
    first = Input("in", (1, 1, 2), factors(100), law((1, 9)))  # -32868/512 = -64.2, 32667/512 = 63.8
    weight = np.array([[3, -2], [0, 1]], np.int8)
    network = IntegerNetwork([first, FLAT, Linear("fc", 1, weight, factors(10, -5), None)])
    assert (network.ranges[0].low.item(), network.ranges[0].high.item()) == (-64, 64)
    assert network.ranges[0].accumulator.item() == 32868
    assert network.ranges[2].low.tolist() == [10 - 5 * 64, -5 - 64]
    assert network.ranges[2].high.tolist() == [10 + 5 * 64, -5 + 64]
    assert network.ranges[2].accumulator.tolist() == [10 + 5 * 64, 5 + 64]


def test_borders_and_padding_widen_a_range_to_zero(law: Callable[..., Requantise]) -> None:
    positive = replace(START, requantise=law((1, 1), low=5, high=9))
    ones = np.ones((1, 2, 2, 2), np.int8)
    inside, border = (
        IntegerNetwork([positive, Conv("conv", 0, ones, factors(0), None, padding=padding), Flatten("flat", 1)]).ranges[
            1
        ]
        for padding in ((0, 0, 0, 0), (1, 0, 0, 0))
    )
    assert (inside.low.item(), inside.high.item()) == (40, 72)
    assert (border.low.item(), border.high.item()) == (0, 72)
    sides = [((0, 1, 0), (0, 0, 0)), ((0, 0, 1), (0, 0, 0)), ((0, 0, 0), (0, 1, 0)), ((0, 0, 0), (0, 0, 1))]
    pads = [Pad("pad", 0, before, after) for before, after in sides]
    for op in (*pads, AvgPool("mean", 0, (1, 1), (1, 1), ONE, (0, 1, 0, 0))):
        assert IntegerNetwork([positive, op, Flatten("flat", 1)]).ranges[1].low.tolist() == [0, 0]
    channels = IntegerNetwork([positive, Pad("pad", 0, (1, 0, 0), (0, 0, 0)), Flatten("flat", 1)]).ranges[1]
    assert (channels.low.tolist(), channels.high.tolist()) == ([0, 5, 5], [0, 9, 9])


def test_an_output_is_bounded_by_the_channels_of_its_own_group(law: Callable[..., Requantise]) -> None:
    silent = replace(START, requantise=law((0, 1), (2, 1)))  # the first channel is always zero
    weight = np.array([1, 2, 3, -4], np.int8).reshape(4, 1, 1, 1)
    op = Conv("conv", 0, weight, factors(5, 0, 0, 0), None, groups=2)
    proved = IntegerNetwork([silent, op, Flatten("flat", 1)]).ranges[1]
    assert proved.low.tolist() == [5, 0, -3 * 127, -4 * 127]
    assert proved.high.tolist() == [5, 0, 3 * 127, 4 * 127]
    assert proved.accumulator.tolist() == [5, 0, 3 * 127, 4 * 127]


def test_wide_layers_are_proved_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    weight = random.integers(-127, 128, (7, 1, 3, 3)).astype(np.int8)
    first = replace(START, shape=(7, 4, 4), center=np.zeros(7, np.int32))
    op = Conv("conv", 0, weight, np.zeros(7, np.int32), None, groups=7, padding=(0, 1, 0, 0))

    def found() -> list[Any]:
        proved = IntegerNetwork([first, op, Flatten("flat", 1)]).ranges[1]
        return [getattr(proved, field.name).tolist() for field in fields(proved)]

    whole = found()
    for at_once in (1, 9, 20):
        monkeypatch.setattr("holdfast.intnet.ranges._WEIGHTS_AT_ONCE", at_once)
        assert found() == whole


IMAGE = replace(START, shape=(2, 4, 4))
SQUARE = {"weight": np.ones((2, 2, 3, 3), np.int8), "padding": (1, 1, 1, 1), "residual": Residual(0, factors(1, 2))}
CHANGES: dict[str, tuple[Op, list[dict[str, Any]]]] = {
    "conv": (
        conv(**SQUARE, requantise=TWO),
        [
            {"weight": np.full((2, 2, 3, 3), 2, np.int8)},
            {"bias": factors(0, 1)},
            {"requantise": Requantise(factors(1, 3), TWO.shift, -127, 127)},
            {"requantise": Requantise(TWO.multiplier, np.array([1, 3], np.uint8), -127, 127)},
            {"requantise": Requantise(TWO.multiplier, TWO.shift, 0, 127)},
            {"requantise": Requantise(TWO.multiplier, TWO.shift, -127, 126)},
            {"requantise": None},
            {"padding": (2, 0, 1, 1)},
            {"dilation": (2, 2), "padding": (2, 2, 2, 2)},
            {"weight": np.ones((2, 1, 3, 3), np.int8), "groups": 2},
            {"residual": None, "stride": (2, 2)},
            {"residual": None, "stride": (1, 2)},
            {"residual": None},
            {"residual": Residual(0, factors(1, 3))},
        ],
    ),
    "max pool": (
        MaxPool("max", 0, (2, 2), (1, 1)),
        [{"kernel": (2, 1)}, {"stride": (1, 2)}, {"padding": (1, 0, 0, 0)}, {"dilation": (2, 1)}],
    ),
    "average": (
        AvgPool("mean", 0, (2, 2), (1, 1), ONE),
        [{"kernel": (2, 1)}, {"stride": (1, 2)}, {"padding": (1, 0, 0, 0)}, {"requantise": None}, {"requantise": TWO}],
    ),
    "add": (
        Add("add", (0, 0), (3, 4), 2, -5, 6),
        [{"multipliers": (4, 3)}, {"shift": 3}, {"low": -4}, {"high": 7}],
    ),
    "rescale": (Rescale("half", 0, ONE), [{"requantise": TWO}]),
    "concat": (Concat("join", (0, 0)), [{"sources": (0,)}, {"sources": (0, 0, 0)}]),
    "pad": (Pad("pad", 0, (1, 1, 1), (0, 0, 0)), [{"before": (0, 1, 1)}, {"after": (0, 0, 1)}]),
    "subsample": (Subsample("thin", 0, (1, 2)), [{"stride": (2, 1)}]),
}


def digest(*operations: Op) -> str:
    return IntegerNetwork([*operations, Flatten("flat", len(operations) - 1)]).digest


@pytest.mark.parametrize("kind", CHANGES)
def test_the_digest_changes_with_every_setting(kind: str) -> None:
    op, changes = CHANGES[kind]
    found = [digest(IMAGE, op), *(digest(IMAGE, replace(op, **change)) for change in changes)]
    assert len(set(found)) == len(found)
    settable = {field.name for field in fields(op)} - {"name", "source"}
    if not isinstance(op, Add):
        settable.discard("multipliers")
    assert settable - {"sources"} <= {name for change in changes for name in change}, "a setting was forgotten"


def test_the_digest_changes_with_the_input_and_with_what_is_read() -> None:
    inputs = [
        IMAGE,
        replace(IMAGE, shape=(2, 8, 2)),
        replace(IMAGE, center=factors(0, 1)),
        replace(IMAGE, requantise=TWO),
    ]
    assert len({digest(first) for first in inputs}) == 4
    half = Rescale("half", 0, ONE)
    orders = [(0, 1), (1, 0), (1, 1)]
    assert len({digest(IMAGE, half, Add("add", order, (1, 1), 1, -127, 127)) for order in orders}) == 3
    assert len({digest(IMAGE, half, Concat("join", order)) for order in orders}) == 3
    sources = [conv(**(SQUARE | {"residual": Residual(s, factors(1, 2))})) for s in (0, 1)]
    assert len({digest(IMAGE, half, replace(op, source=1)) for op in sources}) == 2
    deeper = [replace(half, source=s) for s in (0, 1)]
    assert len({digest(IMAGE, half, op, Add("add", (1, 2), (1, 1), 1, -127, 127)) for op in deeper}) == 2


def test_the_digest_changes_with_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(IMAGE)
    monkeypatch.setattr("holdfast.intnet.network.LAW_VERSION", 2)
    assert digest(IMAGE) != before


def test_names_and_metadata_are_no_part_of_the_digest() -> None:
    network, other = (
        IntegerNetwork([replace(IMAGE, name=name), Flatten(name, 0)], metadata)
        for name, metadata in (("a", None), ("b", {"accuracy": 0.5}))
    )
    assert network.digest == other.digest
    assert (network.metadata, other.metadata) == ({}, {"accuracy": 0.5})


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 2, 4, 5), np.int32),
        np.zeros((1, 2, 5, 4), np.uint8),
        np.zeros((2, 4, 5), np.uint8),
        np.zeros((1, 1, 2, 4, 5), np.int16),
    ],
    ids=lambda images: f"{images.dtype} {images.ndim}",
)
def test_other_images_are_refused(images: Any) -> None:
    with pytest.raises(ParameterError, match=re.escape("takes uint8 or int16 images (N, 2, 4, 5), not ")):
        IntegerNetwork([START, FLAT]).logits(images)


def test_no_images_give_no_logits() -> None:
    assert IntegerNetwork([START, FLAT]).logits(np.zeros((0, 2, 4, 5), np.uint8)).shape == (0, 40)
