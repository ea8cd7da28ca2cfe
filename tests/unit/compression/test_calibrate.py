"""Scales from what was seen: the least squared error, one scale for values that share one, and what has no scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from float_graphs import Graph, graph_of
from torch import Tensor

from holdfast.compression.calibrate import best_scale, initial_scales
from holdfast.compression.evaluate import each_value
from holdfast.compression.graph import FloatGraph
from holdfast.compression.plan import RAW, make_plan
from holdfast.errors import ConversionError


def error(values: Tensor, scale: float) -> float:
    steps = torch.floor(values / scale + 0.5).clamp(-127, 127)
    return float((steps * scale - values).square().mean())


@pytest.mark.parametrize("kind", ["uniform", "normal", "heavy tails", "after a ReLU", "two values"])
def test_no_other_scale_has_a_smaller_error(kind: str) -> None:
    """Among the 40 that clip at 1/40 to 40/40 of the largest magnitude; the error is recomputed here."""
    random = np.random.default_rng(5)
    values = {
        "uniform": random.uniform(-3, 2, 4000),
        "normal": random.normal(0, 1e-3, 4000),
        "heavy tails": random.standard_t(2, 4000) * 1e4,
        "after a ReLU": np.maximum(random.normal(0, 1, 4000), 0),
        "two values": random.choice([0.0, 7.0], 4000),
    }[kind]
    tensor = torch.tensor(values)
    largest, chosen = float(tensor.abs().max()), best_scale(tensor)
    candidates = [largest * k / 40 / 127 for k in range(1, 41)]
    assert chosen in candidates
    with_ends = torch.cat([tensor, torch.stack([tensor.min(), tensor.max()])])
    errors = [error(with_ends, c) for c in candidates]
    assert min(errors) == errors[candidates.index(chosen)]


def test_a_rare_outlier_is_clipped_and_plain_values_are_not() -> None:
    values = torch.linspace(-1, 1, 5001, dtype=torch.float64)
    assert best_scale(values) == 1 / 127
    outlier = torch.cat([torch.tensor(np.random.default_rng(0).normal(0, 1, 100_000)), torch.tensor([12.0])])
    assert best_scale(outlier) < 0.9 * 12 / 127


def test_the_scale_follows_the_unit() -> None:
    values = torch.tensor(np.random.default_rng(2).normal(0, 1, 3000))
    assert best_scale(values * 1024) == 1024 * best_scale(values)


def test_of_many_values_the_ends_are_always_seen() -> None:
    """Of millions only some are looked at, but the two ends are among them."""
    values = torch.zeros(1 << 19, dtype=torch.float64)
    values[12_345] = -5.0
    assert best_scale(values) <= 5 / 127
    assert best_scale(values) > 0


def scales(graph: FloatGraph, images: Tensor) -> tuple[Any, list[float]]:
    plan = make_plan(graph)
    return plan, initial_scales(plan, each_value(graph, images))


def pixels(count: int = 32) -> Tensor:
    return torch.tensor(np.random.default_rng(1).normal(0, 1, (count, 2, 4, 4)))


def small(g: Graph) -> None:
    a = g.relu("relu", g.conv("a", 0, g.tensor(2, 2, 1, 1)))
    g.linear("fc", g.flatten("flat", a), g.tensor(3, 32))


def test_each_group_gets_the_best_scale_of_all_its_values() -> None:
    def write(g: Graph) -> None:
        a = g.relu("relu", g.conv("a", 0, g.tensor(2, 2, 1, 1)))
        b = g.conv("b", 0, 10 * g.tensor(3, 2, 1, 1))
        g.linear("fc", g.flatten("flat", g.concat("both", a, b)), g.tensor(3, 80))

    graph = graph_of(write)
    plan, found = scales(graph, pixels())
    values = dict(each_value(graph, pixels()))
    for group in range(plan.groups):
        seen = [values[step.value].flatten() for step in plan.steps if step.group == group]
        ends = [torch.stack([v.min(), v.max()]) for v in seen]
        assert found[group] == best_scale(torch.cat([part for pair in zip(seen, ends, strict=True) for part in pair]))
    shared = [step.group for step in plan.steps if step.node.name in ("a", "b", "both", "flat")]
    assert len(shared) == 4
    assert len(set(shared)) == 1


def test_a_clamped_value_is_calibrated_after_its_clamp() -> None:
    graph = graph_of(lambda g: g.linear("fc", g.flatten("flat", g.relu("relu", g.conv("a", 0, 100 * g.tensor(2, 2, 1, 1)),
                                                                       0.5)), g.tensor(3, 32)))  # fmt: skip
    plan, found = scales(graph, pixels())
    (conv,) = (step for step in plan.steps if step.node.name == "a")
    assert found[conv.group] <= 0.5 / 127


def test_raw_logits_have_no_scale() -> None:
    plan, found = scales(graph_of(small), pixels())
    assert plan.steps[-1].group == RAW
    assert len(found) == plan.groups == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_named(bad: float) -> None:
    images = pixels()
    images[3, 0, 0, 0] = bad
    with pytest.raises(ConversionError, match="input: NaN or infinite values on the calibration images"):
        scales(graph_of(small), images)


def test_a_value_that_is_always_zero_is_named_with_what_to_do() -> None:
    def write(g: Graph) -> None:
        dead = g.conv("dead", 0, torch.zeros(2, 2, 1, 1, dtype=torch.float64), -torch.ones(2, dtype=torch.float64))
        g.linear("fc", g.flatten("flat", g.relu("relu", dead)), g.tensor(3, 32))

    with pytest.raises(ConversionError, match=r"dead: zero on every calibration image, .* calibrate on images like"):
        scales(graph_of(write), pixels())
