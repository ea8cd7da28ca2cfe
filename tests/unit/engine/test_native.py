"""The native engine's edges: hostile programs, statuses, arrays, instruction sets, memory, interrupts."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_programs import Layer, ProgramReader
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from process_memory import COUNTS_MALLOC, TELLS_MEMORY, bytes_in_use, resident_bytes

from holdfast.engine import native
from holdfast.engine.native import STATUS_ERRORS, NativeClassifier, NativeNetwork, encode
from holdfast.errors import (
    HoldfastError,
    HoldfastWarning,
    MissingDependency,
    NetworkError,
    ParameterError,
    ResourceError,
)
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
    Requantise,
    Rescale,
    Residual,
    Subsample,
)
from holdfast.intnet.shapes import output_shape
from holdfast.noise import DiscreteGaussian
from holdfast.records import Address, Purpose

pytestmark = pytest.mark.skipif(
    not native.isas(), reason="holdfast._native was not built (no C++ compiler at installation)"
)
ADDRESS = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
PASS = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
HEADER = Path(__file__).parents[3] / "native" / "include" / "holdfast.h"


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return Layer(8, 8, (6, 7), factor=30).network()


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


def test_programs_that_are_none(network: IntegerNetwork) -> None:
    words, weights = encode(network)
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


def test_networks_that_break_the_law(network: IntegerNetwork) -> None:
    words, weights = encode(network)
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


def test_arrays_are_never_cast_in_silence(network: IntegerNetwork) -> None:
    words, weights = encode(network)
    for bad in (words.astype(np.int64), words.astype(np.float32), words[::2], words.tolist()):
        with pytest.raises(TypeError):
            plan(bad, weights)
    for bad in (weights.view(np.uint8), weights[::2]):
        with pytest.raises(TypeError):
            plan(words, bad)
    good = plan(words, weights)
    batch, logits = np.zeros((2, *network.shape), np.int16), np.empty((2, network.num_classes), np.int32)
    for images, out in ((batch.astype(np.int32), logits), (batch, logits.astype(np.int64)), (batch[..., ::-1], logits)):
        with pytest.raises(TypeError):
            good.run(images, 1, out)
    for images, out in ((batch[:, :2].copy(), logits), (batch, logits[:1]), (batch, logits[:, :1].copy())):
        with pytest.raises(native._native.EngineError, match="another shape"):
            good.run(images, 1, out)
    sampler = native._sampler(DiscreteGaussian("3").table)
    with pytest.raises(native._native.EngineError, match="another shape"):
        good.label(sampler, np.zeros((1, 2, 3), np.uint8), 1, 2, 0, False, 1, np.empty(3, np.uint16))


def test_images_of_another_shape_or_dtype(network: IntegerNetwork) -> None:
    engine = NativeNetwork(network)
    for bad in (
        np.zeros((1, 3, 6, 8), np.int16),
        np.zeros((1, *network.shape), np.float32),
        np.zeros(network.shape, np.int16),
    ):
        with pytest.raises(ParameterError, match="uint8 or int16 images"):
            engine.logits(bad)
    for bad_image in (np.zeros((3, 6, 8), np.uint8), np.zeros(network.shape, np.int16)):
        with pytest.raises(ParameterError, match="uint8 image"):
            engine.labels(bad_image, DiscreteGaussian("3").table, (1, 2), 0, 1)
    flipped = np.arange(np.prod(network.shape), dtype=np.uint8).reshape(1, *network.shape)[..., ::-1]
    np.testing.assert_array_equal(engine.logits(flipped), network.logits(flipped))


def test_instruction_sets_are_chosen_by_name(network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NativeNetwork(network, "portable").isa == "portable"
    assert NativeNetwork(network).isa == [name for name, here in native.isas().items() if here][-1]
    monkeypatch.setenv("HOLDFAST_ISA", "portable")
    assert NativeNetwork(network).isa == "portable"
    monkeypatch.setenv("HOLDFAST_ISA", "sse9")
    with pytest.raises(ParameterError, match="this build has no instruction set 'sse9'"):
        NativeNetwork(network)
    for name in [name for name, here in native.isas().items() if not here]:
        with pytest.raises(ParameterError, match=f"does not have the instruction set {name}"):
            NativeNetwork(network, name)


def test_instruction_sets_of_other_processors(network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "isas", lambda: {"portable": True, "sse9": False})
    with pytest.raises(ParameterError, match="this processor does not have the instruction set sse9"):
        NativeNetwork(network, "sse9")


@pytest.mark.parametrize("name", ["a" + "é" * 30, "x\udc80", "portable\0junk", "Portable", " portable", "s" * 10_000])
def test_names_of_no_instruction_set(network: IntegerNetwork, name: str) -> None:
    """Whatever the text is, even if it is none: one line, which can be printed."""
    with pytest.raises(ParameterError) as caught:
        NativeNetwork(network, name)
    said = str(caught.value)
    assert said == f"native engine: this build has no instruction set {name[:40]!r}"
    assert said.isprintable(), said.encode()


def test_without_the_engine(network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_NATIVE", "0")
    assert native.isas() == {}
    with pytest.raises(MissingDependency, match="use the reference engine"):
        NativeNetwork(network)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_a_bad_number_of_threads(network: IntegerNetwork, threads: int) -> None:
    with pytest.raises(ParameterError, match=f"between 1 and 1024, not {threads}"):
        NativeNetwork(network, threads=threads)


def test_more_threads_than_processors_and_than_samples(network: IntegerNetwork) -> None:
    image, cores = np.full(network.shape, 90, np.uint8), len(os.sched_getaffinity(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = NativeClassifier(network, DiscreteGaussian("25"))
        NativeClassifier(network, DiscreteGaussian("25"), threads=cores)
    with pytest.warns(HoldfastWarning) as caught:
        many = NativeClassifier(network, DiscreteGaussian("25"), threads=cores + 61)
    assert [str(warning.message).split(",")[0] for warning in caught] == [f"{cores + 61} threads were asked for"]
    assert f"use {cores} of the machine's processors" in str(caught[0].message)
    for count in (1, 3, 200):
        np.testing.assert_array_equal(many.labels(image, ADDRESS, 3, count), one.labels(image, ADDRESS, 3, count))


def padded_network(padding: int) -> IntegerNetwork:
    """Zeros around a value count: four bytes for each of (2 + 2 padding)^2 pixels, though the result is small."""
    weight, bias = np.ones((2, 1, 1, 1), np.int8), np.zeros(2, np.int32)
    padded = Conv("conv", 0, weight, bias, PASS, stride=(padding,) * 2, padding=(padding,) * 4)
    operations = [Input("input", (1, 2, 2), np.array([0], np.int32), PASS), padded, Flatten("flatten", 1)]
    return IntegerNetwork(operations)


def test_values_that_no_memory_holds() -> None:
    with pytest.raises(ResourceError, match="padding takes more than"):
        NativeNetwork(padded_network(8000))


LIMITED = """
import sys
import numpy as np
from process_memory import limit_to
from test_native import padded_network
from holdfast.engine.native import NativeNetwork
from holdfast.errors import ResourceError
from holdfast.noise import DiscreteGaussian

def refusal(engine):
    try:
        engine.labels(image, table, (1, 2), 0, 40)
    except ResourceError as error:
        return str(error)

threads, padding, free = map(int, sys.argv[1:])
image, table = np.full((1, 2, 2), 90, np.uint8), DiscreteGaussian("25").table
engine = NativeNetwork(padded_network(padding), threads=threads)
limit_to(free)
refused = [refusal(engine) for _ in range(3)]
limit_to(None)
again = engine.labels(image, table, (1, 2), 0, 40)
same = np.array_equal(again, NativeNetwork(padded_network(padding)).labels(image, table, (1, 2), 0, 40))
print(set(refused), same)
"""


@pytest.mark.skipif(not TELLS_MEMORY, reason="this system does not tell a process its memory")
@pytest.mark.parametrize(
    ("threads", "padding", "free", "said"),
    [
        (1, 1000, 4 << 20, "native engine: there is not enough memory for this network; fewer threads need less"),
        (2, 1500, 24 << 20, "native engine: there is not enough memory for this network; fewer threads need less"),
        (64, 2, 80 << 20, "native engine: the system gives no 64 threads; ask for fewer"),
    ],
    ids=["memory", "memory of two threads", "threads"],
)
def test_what_the_system_does_not_give(threads: int, padding: int, free: int, said: str) -> None:
    """A limit that the system enforces: the call fails cleanly, and the same engine works as soon as there is more."""
    command = [sys.executable, "-W", "ignore", "-c", LIMITED, *map(str, (threads, padding, free))]
    paths = os.pathsep.join(path for path in [str(Path(__file__).parent), *sys.path] if path)
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=os.environ | {"PYTHONPATH": paths}
    )
    assert found.stdout == f"{ {said} } True\n"


@pytest.mark.skipif(not COUNTS_MALLOC, reason="this C library does not count its memory")
def test_ten_thousand_calls_leak_nothing() -> None:
    """Plans, calls with and without threads, programs that are refused: less than a byte a call is left."""
    small = Layer(2, 2, (2, 2), factor=30).network()
    words, weights = encode(small)
    image, table = np.full(small.shape, 90, np.uint8), DiscreteGaussian("3").table
    copies = np.zeros((2, *small.shape), np.int16)

    def call(times: int) -> int:
        for number in range(times):
            engine = NativeNetwork(small, threads=1 + (number % 10 == 0))
            engine.labels(image, table, (1, 2), 0, 2)
            engine.logits(copies)
            with pytest.raises(native._native.EngineError):
                plan(words[:-1], weights)
        gc.collect()
        return bytes_in_use()

    call(500)
    before, resident = call(500), resident_bytes()
    assert call(10_000) - before < 10_000
    assert resident_bytes() - resident < 1 << 20


@pytest.mark.filterwarnings("ignore:1024 threads were asked for")
@pytest.mark.parametrize("threads", [1, 1024])
def test_ctrl_c_ends_a_long_call(threads: int) -> None:
    """Between two images or so, however many threads there should be: 1024 images take minutes here."""
    engine = NativeNetwork(Layer(512, 64, (40, 40)).network(), "portable", threads)
    image, table = np.full((3, 40, 40), 90, np.uint8), DiscreteGaussian("25").table
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        engine.labels(image, table, (1, 2), 0, 100_000)
    assert time.monotonic() - began < 5


def test_the_engine_needs_no_torch() -> None:
    """``engine.native`` belongs to the trusted core: it must run where torch is not even installed."""
    code = "import sys; sys.modules['torch'] = None; import holdfast.engine.native as n; print(sorted(n.isas()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "portable" in found.stdout
