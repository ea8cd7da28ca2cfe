"""The engines' contract for shapes that are hard for kernels of 16 windows, and who gets these kernels at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from native_engine import HERE, NEEDED
from tile_programs import NETWORKS, TILES

from holdfast.engine.native import NativeNetwork
from holdfast.intnet import IntegerNetwork

pytestmark = NEEDED

CPUINFO = Path("/proc/cpuinfo")
PROCESSOR = CPUINFO.read_text() if CPUINFO.exists() else ""

WITH_A_SMALL_SIGNAL_STACK = """
import ctypes

class Stack(ctypes.Structure):
    _fields_ = [("memory", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

memory = ctypes.create_string_buffer(8192)
stack = Stack(ctypes.cast(memory, ctypes.c_void_p), 0, len(memory))
print(ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None))
from holdfast.engine.native import isas
print(isas().get("amxint8", False))
"""
"""A thread whose signal stack cannot hold the tile registers: the system must refuse them."""


def check(network: IntegerNetwork, isa: str, count: int) -> None:
    batch = np.random.default_rng(1).integers(-60, 316, (count, *network.shape)).astype(np.int16)
    expected = network.logits(batch)
    assert len(np.unique(expected)) > 10, "the network must not be saturated or dead"
    np.testing.assert_array_equal(NativeNetwork(network, isa).logits(batch), expected)


@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize("name", TILES)
def test_layers(isa: str, name: str) -> None:
    check(TILES[name].network(), isa, 2)


@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_with_any_number_of_images(isa: str, name: str) -> None:
    for count in (1, 2, 15, 16, 17, 35):
        check(NETWORKS[name], isa, count)


@pytest.mark.xfail("amx_int8" not in PROCESSOR, reason="this processor has no tile registers to refuse", run=False)
def test_where_the_system_refuses_tile_registers() -> None:
    command = [sys.executable, "-c", WITH_A_SMALL_SIGNAL_STACK]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["0", "False"]
