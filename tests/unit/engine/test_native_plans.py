"""What plans of the native engine cost: memory and time that follow the network's size, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from child_process import importing
from engine_programs import PASS, Layer, weights, zeros
from native_engine import HERE, NEEDED
from process_memory import COUNTED, LIMITED, bytes_in_use

from holdfast.engine import native
from holdfast.engine.native import NativeNetwork, encode
from holdfast.errors import ResourceError
from holdfast.intnet import Conv, Flatten, Input, IntegerNetwork, Linear, Op, Subsample

pytestmark = NEEDED


def tall_network() -> IntegerNetwork:
    """Five convolutions of four million rows each, in a few hundred bytes."""
    height, one = 1 << 22, np.ones((1, 1, 1, 1), np.int8)
    operations: list[Op] = [Input("input", (1, height, 1), zeros(1), PASS)]
    operations += [Conv("conv", position, one, zeros(1), PASS) for position in range(5)]
    return IntegerNetwork([*operations, Subsample("thin", 5, (1 << 16, 1)), Flatten("flatten", 6)])


def held(network: IntegerNetwork, isa: str) -> tuple[int, NativeNetwork]:
    """What malloc has given out for a plan, and its engine."""
    words, packed = encode(network)
    native._native.Plan(words, packed, isa)  # the first one leaves the self test's traces
    before = bytes_in_use()
    plan = native._native.Plan(words, packed, isa)
    used = bytes_in_use() - before
    engine = NativeNetwork(network, isa)
    assert engine.memory == plan.memory
    return used, engine


@COUNTED
@pytest.mark.parametrize("isa", HERE)
def test_a_plan_has_nothing_for_each_row(isa: str) -> None:
    assert held(tall_network(), isa)[0] < 1 << 16


@COUNTED
@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize(
    "layer",
    [Layer(2000, 2000, (3, 3), groups=2000), Layer(200, 200, (3, 9), factor=9), Layer(400, 64, (3, 3), signed=True)],
    ids=["channels", "a residual", "signed"],
)
def test_memory_says_what_a_plan_holds(isa: str, layer: Layer) -> None:
    used, engine = held(layer.network(), isa)
    assert abs(used - engine.memory[0]) < 1 << 14  # malloc keeps small pieces back and gives them out again


def test_memory_says_what_a_thread_needs() -> None:
    """Values of one byte, pixels of two and logits of four."""
    features = 1 << 16
    network = IntegerNetwork([Input("input", (features, 1, 1), zeros(features), PASS), Flatten("flatten", 0)])
    assert 0 <= NativeNetwork(network, "portable").memory[1] - (1 + 2 + 4) * features < 1024


PLANNED = """
import sys
from holdfast.engine import native
from process_memory import limit_to
from test_native_plans import steps_without_company

words, weights = native.encode(steps_without_company())
native._native.Plan(*native.encode(steps_without_company(64)), sys.argv[1])
limit_to(24 << 20)
print(native._native.Plan(words, weights, sys.argv[1]).isa)
"""
NOISE = """
from holdfast._native import Sampler
from holdfast.engine.native import _call
from holdfast.errors import ResourceError
from holdfast.noise.native import sampler
from holdfast.noise.tables import NoiseTable
from process_memory import limit_to

table = NoiseTable(-30000, tuple(i << 100 for i in range(1, 60001)))
table.limbs
Sampler(0, table.limbs[:1])
limit_to(64 << 10)
for make in (lambda: Sampler(table.low, table.limbs), lambda: _call(sampler, table)):
    try:
        make()
    except (MemoryError, ResourceError) as error:
        said = f"{type(error).__name__}: {error}"
        limit_to(None)
        print(said)
        limit_to(64 << 10)
"""


def python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = importing(Path(__file__).parent)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment).stdout


def steps_without_company(inputs: int = 1 << 17) -> IntegerNetwork:
    """No two steps of a dot product fit int16 together, so that every step is a run of its own."""
    largest = np.full((2, inputs), 127, np.int8)
    first = Input("input", (inputs, 1, 1), zeros(inputs), PASS)
    return IntegerNetwork([first, Flatten("flatten", 0), Linear("fc", 1, largest, zeros(2), None)])


@LIMITED
@pytest.mark.parametrize("isa", HERE)
def test_planning_needs_little_more_than_the_plan(isa: str) -> None:
    """2 MiB of weights once they are packed, in 24 MiB of memory."""
    assert python(PLANNED, isa) == f"{isa}\n"


@LIMITED
def test_no_memory_for_a_noise_table() -> None:
    said = python(NOISE).splitlines()
    assert said == ["MemoryError: std::bad_alloc", "ResourceError: native engine: there is not enough memory"]


def test_memory_errors_are_of_the_tree() -> None:
    def engine() -> None:
        raise MemoryError

    with pytest.raises(ResourceError, match="native engine: there is not enough memory"):
        native._call(engine)


def seconds_to_plan(network: IntegerNetwork, isa: str) -> float:
    """CPU time, the least of three."""
    words, packed = encode(network)

    def once() -> float:
        began = time.process_time()
        native._native.Plan(words, packed, isa)
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize("isa", HERE)
def test_planning_takes_no_longer_for_a_dilated_kernel(isa: str) -> None:
    """The columns between those of the kernel cost nothing: a thousand times as many here as there are weights."""

    def network(dilation: int) -> IntegerNetwork:
        kernel, outputs = weights(np.random.default_rng(5), 512, 1, 1, 17), 512
        first = Input("input", (1, 1, 16 * dilation + 1), zeros(1), PASS)
        conv = Conv("conv", 0, kernel, zeros(outputs), PASS, dilation=(1, dilation))
        return IntegerNetwork([first, conv, Flatten("flatten", 1)])

    assert seconds_to_plan(network(1 << 16), isa) < 20 * seconds_to_plan(network(2), isa)
