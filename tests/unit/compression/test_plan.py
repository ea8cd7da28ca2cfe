"""Which operations are fused, where a sum goes, what stays raw, and which values share a scale."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from float_graphs import Graph, graph_of

from holdfast.compression.graph import (
    FloatAdd,
    FloatClamp,
    FloatConcat,
    FloatConv,
    FloatFlatten,
    FloatInput,
    FloatLinear,
    FloatMaxPool,
)
from holdfast.compression.plan import RAW, Plan, Step, make_plan
from holdfast.errors import ConversionError

INF = math.inf


def planned(write: Any, **settings: int) -> Plan:
    return make_plan(graph_of(write, **settings))


def named(plan: Plan, name: str) -> Step:
    (found,) = (step for step in plan.steps if step.node.name == name)
    return found


def names(plan: Plan) -> list[str]:
    return [step.node.name for step in plan.steps]


def classify(g: Graph, source: int) -> None:
    """Flatten a value of any shape and classify it."""
    flat = g.flatten("flat", source)
    g.linear("fc", flat, g.tensor(3, g.graph().shapes[flat][0]))


@pytest.mark.parametrize(
    ("clamps", "ends"),
    [
        ([], (-INF, INF)),
        ([(0.0, INF)], (0.0, INF)),
        ([(0.0, 6.0)], (0.0, 6.0)),
        ([(0.0, INF), (-INF, 2.0)], (0.0, 2.0)),
        ([(-1.0, 1.0), (0.0, 6.0)], (0.0, 1.0)),
        ([(0.0, 1.0), (3.0, 4.0)], (3.0, 3.0)),
    ],
)
def test_a_chain_of_clamps_belongs_to_the_operation_before_it(
    clamps: list[tuple[float, float]], ends: tuple[float, float]
) -> None:
    def write(g: Graph) -> None:
        last = g.conv("conv", 0, g.tensor(4, 2, 3, 3))
        for number, (low, high) in enumerate(clamps):
            last = g.clamp(f"clamp {number}", last, low, high)
        classify(g, last)

    plan = planned(write)
    step = named(plan, "conv")
    assert names(plan) == ["input", "conv", "flat", "fc"]
    assert (step.low, step.high) == ends
    assert step.value == 1 + len(clamps), "calibrated on what comes after the clamps"


def test_a_clamp_stays_an_operation_where_nothing_can_take_it() -> None:
    """After a pool, after the input, and where the value before it is read by others too."""

    def write(g: Graph) -> None:
        first = g.clamp("first", 0, -1.0, 1.0)
        conv = g.conv("conv", first, g.tensor(4, 2, 1, 1))
        after = g.relu("relu", conv)
        pool = g.max_pool("pool", g.plus("sum", after, conv))
        classify(g, g.clamp("last", g.clamp("inner", pool, -2.0, 2.0), -1.0, 3.0))

    plan = planned(write)
    assert names(plan) == ["input", "first", "conv", "relu", "sum", "pool", "inner", "flat", "fc"]
    assert all(isinstance(named(plan, name).node, FloatClamp) for name in ("first", "relu", "inner"))
    assert (named(plan, "inner").low, named(plan, "inner").high) == (-1.0, 2.0), "a chain is one operation"
    assert (named(plan, "conv").low, named(plan, "conv").high) == (-INF, INF)


def residual_block(g: Graph, main: int, other: int, after: float = INF) -> None:
    classify(g, g.relu("relu", g.plus("sum", main, other), after))


def test_a_sum_belongs_to_the_convolution_before_it() -> None:
    def write(g: Graph) -> None:
        start = g.relu("first relu", g.conv("first", 0, g.tensor(4, 2, 1, 1)))
        residual_block(g, g.conv("main", start, g.tensor(4, 4, 1, 1)), start, 6.0)

    plan = planned(write)
    assert names(plan) == ["input", "first", "main", "flat", "fc"]
    main = named(plan, "main")
    assert (main.sources, main.residual, main.low, main.high) == ((1,), 1, 0.0, 6.0)
    assert main.value == 5, "its value is that of the clamp after the sum"


@pytest.mark.parametrize("order", [0, 1])
def test_of_two_convolutions_the_one_with_more_weights_takes_the_sum(order: int) -> None:
    def write(g: Graph) -> None:
        start = g.relu("first relu", g.conv("first", 0, g.tensor(4, 2, 1, 1)))
        branches = [
            lambda: g.conv("body", start, g.tensor(4, 4, 3, 3), padding=(1, 1, 1, 1)),
            lambda: g.conv("shortcut", start, g.tensor(4, 4, 1, 1)),
        ]
        places = [branches[(order + i) % 2]() for i in range(2)]
        residual_block(g, *places)

    plan = planned(write)
    assert names(plan) == ["input", "first", "shortcut", "body", "flat", "fc"]
    assert named(plan, "body").residual == names(plan).index("shortcut")
    assert named(plan, "shortcut").residual is None
    assert (named(plan, "shortcut").low, named(plan, "shortcut").high) == (-INF, INF)


def test_a_matrix_product_takes_a_sum_too() -> None:
    def write(g: Graph) -> None:
        flat = g.flatten("flat", g.conv("conv", 0, g.tensor(1, 2, 1, 1)))
        total = g.relu("relu", g.plus("sum", flat, g.linear("inner", flat, g.tensor(16, 16))))
        g.linear("fc", total, g.tensor(3, 16))

    inner = named(planned(write), "inner")
    assert isinstance(inner.node, FloatLinear)
    assert (inner.sources, inner.residual, inner.low) == ((2,), 2, 0.0)


def test_a_convolution_read_twice_keeps_its_own_value() -> None:
    """Its accumulator cannot be two things, so the sum is an operation of its own."""

    def write(g: Graph) -> None:
        conv = g.conv("conv", 0, g.tensor(4, 2, 1, 1))
        classify(g, g.plus("sum", conv, g.relu("relu", conv)))

    plan = planned(write)
    assert names(plan) == ["input", "conv", "relu", "sum", "flat", "fc"]
    assert isinstance(named(plan, "sum").node, FloatAdd)
    assert named(plan, "sum").sources == (1, 2)
    assert all(step.residual is None for step in plan.steps)


def test_a_value_added_to_itself_is_an_operation_of_its_own() -> None:
    plan = planned(lambda g: classify(g, g.plus("sum", 1, g.conv("conv", 0, g.tensor(4, 2, 1, 1)))))
    assert named(plan, "sum").sources == (1, 1)


def test_what_stands_between_a_convolution_and_a_sum_keeps_them_apart() -> None:
    """relu(conv(x)) + x is not relu of the accumulator."""

    def write(g: Graph) -> None:
        after = g.relu("relu", g.conv("conv", 0, g.tensor(2, 2, 1, 1)))
        classify(g, g.plus("sum", after, 0))

    plan = planned(write)
    assert named(plan, "conv").low == 0
    assert named(plan, "sum").sources == (1, 0)


# The logits


def raw(plan: Plan) -> list[str]:
    return [step.node.name for step in plan.steps if step.group == RAW]


def test_a_last_matrix_product_stays_raw() -> None:
    assert raw(planned(lambda g: classify(g, 0))) == ["fc"]


def test_a_last_convolution_stays_raw_through_the_flattening() -> None:
    assert raw(planned(lambda g: g.flatten("flat", g.conv("conv", 0, g.tensor(3, 2, 4, 4))))) == ["conv", "flat"]


def test_a_last_average_stays_raw_through_the_flattening() -> None:
    def write(g: Graph) -> None:
        g.flatten("flat", g.average("mean", g.conv("conv", 0, g.tensor(3, 2, 1, 1)), 4))

    plan = planned(write)
    assert raw(plan) == ["mean", "flat"]
    assert plan.groups == 2, "the input's and the convolution's"


def test_a_last_sum_stays_raw_in_the_accumulator_it_enters() -> None:
    def write(g: Graph) -> None:
        flat = g.flatten("flat", 0)
        g.plus("sum", g.linear("a", flat, g.tensor(3, 32)), g.linear("b", g.relu("relu", flat), g.tensor(3, 32)))

    plan = planned(write)
    assert raw(plan) == [plan.steps[-1].node.name]
    assert plan.steps[-1].residual is not None


@pytest.mark.parametrize("end", ["clamp", "max pool", "read elsewhere"])
def test_logits_that_are_not_raw_have_a_scale(end: str) -> None:
    def write(g: Graph) -> None:
        if end == "max pool":
            g.flatten("flat", g.max_pool("pool", g.conv("conv", 0, g.tensor(3, 2, 3, 3))))
        else:
            last = g.linear("fc", g.flatten("flat", 0), g.tensor(3, 32))
            clamped = g.clamp("clamp", last, -1.0, 1.0)
            if end == "read elsewhere":
                g.plus("sum", last, clamped)

    assert raw(planned(write)) == []


# Affine maps that nothing has absorbed


def test_a_factor_per_channel_becomes_a_depthwise_convolution() -> None:
    scale, shift = torch.tensor([2.0, -3.0], dtype=torch.float64), torch.tensor([0.5, 1.0], dtype=torch.float64)
    plan = planned(lambda g: classify(g, g.relu("relu", g.affine("norm", 0, scale, shift))))
    norm = named(plan, "norm")
    assert isinstance(norm.node, FloatConv)
    assert (norm.node.groups, tuple(norm.node.weight.shape), norm.low) == (2, (2, 1, 1, 1), 0.0)
    assert norm.node.weight.flatten().tolist() == scale.tolist()
    assert norm.node.bias.tolist() == shift.tolist()


def test_a_factor_per_feature_becomes_a_diagonal_matrix() -> None:
    def write(g: Graph) -> None:
        flat = g.flatten("flat", 0)
        g.linear("fc", g.affine("norm", flat, g.tensor(32), g.tensor(32)), g.tensor(3, 32))

    norm = named(planned(write), "norm")
    assert isinstance(norm.node, FloatLinear)
    assert torch.equal(norm.node.weight, torch.diag(norm.node.weight.diagonal()))


def test_one_factor_for_all_channels_is_expanded() -> None:
    one = torch.tensor([2.0], dtype=torch.float64)
    norm = named(planned(lambda g: classify(g, g.affine("norm", 0, one, one))), "norm")
    assert isinstance(norm.node, FloatConv)
    assert norm.node.weight.flatten().tolist() == [2.0, 2.0]


# Shared scales


def test_what_only_moves_numbers_shares_a_scale_with_what_it_reads() -> None:
    def write(g: Graph) -> None:
        conv = g.relu("relu", g.conv("conv", 0, g.tensor(4, 2, 1, 1)))
        classify(g, g.subsample("every second", g.max_pool("pool", g.pad("pad", conv))))

    plan = planned(write)
    groups = {step.node.name: step.group for step in plan.steps}
    assert groups["conv"] == groups["pad"] == groups["pool"] == groups["every second"] == groups["flat"]
    assert groups["input"] != groups["conv"]
    assert plan.groups == 2


def test_values_that_meet_in_a_concat_share_a_scale() -> None:
    plan = planned(write_concat)
    groups = {step.node.name: step.group for step in plan.steps}
    assert groups["a"] == groups["b"] == groups["input"] == groups["both"] == groups["pool"]
    assert groups["c"] != groups["both"]
    assert {step.group for step in plan.steps} == {RAW, 0, 1}
    assert isinstance(named(plan, "both").node, FloatConcat)
    assert isinstance(named(plan, "pool").node, FloatMaxPool)


def write_concat(g: Graph) -> None:
    a = g.relu("relu a", g.conv("a", 0, g.tensor(4, 2, 2, 2)))
    b = g.max_pool("pool", g.relu("relu b", g.conv("b", 0, g.tensor(4, 2, 1, 1))))
    both = g.concat("both", a, b, g.max_pool("input pool", 0))
    classify(g, g.conv("c", both, g.tensor(4, 10, 1, 1)))


def test_a_sum_and_a_rescaling_have_scales_of_their_own() -> None:
    def write(g: Graph) -> None:
        clamp = g.clamp("clamp", g.max_pool("pool", 0), -1.0, 1.0)
        classify(g, g.plus("sum", clamp, g.max_pool("other", 0)))

    plan = planned(write)
    groups = {step.node.name: step.group for step in plan.steps}
    assert len({groups["input"], groups["clamp"], groups["sum"]}) == 3
    assert groups["pool"] == groups["other"] == groups["input"]


def test_the_steps_read_earlier_ones_and_cover_the_graph() -> None:
    plan = planned(write_concat)
    for position, step in enumerate(plan.steps):
        assert all(source < position for source in step.sources)
        assert step.residual is None or step.residual < position
    assert isinstance(plan.steps[0].node, FloatInput)
    assert isinstance(plan.steps[-2].node, FloatFlatten)


# What is refused


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(
        ConversionError, match="nothing to quantise: the network has no convolution and no matrix product"
    ):
        planned(lambda g: g.flatten("flat", g.relu("relu", 0)))


def test_a_wide_factor_per_feature_is_refused_with_what_to_do() -> None:
    def write(g: Graph) -> None:
        flat = g.flatten("flat", 0)
        g.linear("fc", g.affine("norm", flat, g.tensor(4098), g.tensor(4098)), g.tensor(2, 4098))

    with pytest.raises(ConversionError, match=r"norm: a factor per feature .* of 4098 numbers; put it before"):
        planned(write, height=3, width=683)
