"""What the native engine needs of the system: threads, memory, none left behind, and an ear for Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from child_process import importing
from engine_programs import PASS, Layer
from native_engine import NEEDED
from process_memory import COUNTED, LIMITED, bytes_in_use, resident_bytes

from holdfast.engine import native
from holdfast.engine.native import NativeClassifier, NativeNetwork, encode, usable_cores
from holdfast.errors import HoldfastWarning, ParameterError, ResourceError
from holdfast.intnet import Conv, Flatten, Input, IntegerNetwork
from holdfast.noise import DiscreteGaussian
from holdfast.records import Address, Purpose

pytestmark = NEEDED
ADDRESS = Address(bytes(32), bytes(32), Purpose.ESTIMATE)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_a_bad_number_of_threads(integer_network: IntegerNetwork, threads: int) -> None:
    with pytest.raises(ParameterError, match=f"between 1 and 1024, not {threads}"):
        NativeNetwork(integer_network, threads=threads)


def test_more_threads_than_processors_and_than_samples(integer_network: IntegerNetwork) -> None:
    image, cores = np.full(integer_network.shape, 90, np.uint8), usable_cores()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = NativeClassifier(integer_network, DiscreteGaussian("25"))
        NativeClassifier(integer_network, DiscreteGaussian("25"), threads=cores)
    with pytest.warns(HoldfastWarning) as caught:
        many = NativeClassifier(integer_network, DiscreteGaussian("25"), threads=cores + 61)
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


REFUSED = """
import sys
import numpy as np
from process_memory import limit_to
from test_native_resources import padded_network
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


@LIMITED
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
    command = [sys.executable, "-W", "ignore", "-c", REFUSED, *map(str, (threads, padding, free))]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=importing(Path(__file__).parent)
    )
    assert found.stdout == f"{ {said} } True\n"


@COUNTED
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
                native._native.Plan(words[:-1], weights, "portable")
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
