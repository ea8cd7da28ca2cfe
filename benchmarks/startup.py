"""What a process pays before its first certificate: the CPU time from its start, step by step, and its peak memory.

Each measurement is a process of its own, its files in the system's cache. Memory is ``VmHWM``, the most that was ever
resident, less that of an interpreter that does nothing; so it includes numpy and all other packages.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from holdfast.intnet import IntegerNetwork, save

__all__ = ["measure_startup"]

_COMMON = """
import sys, time
def resident(): return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if "VmHWM" in line)
def since(): return time.process_time()
"""
_NOTHING = _COMMON + "print(resident())"
_TORCH = _COMMON + "import torch; print(resident())"
_ENGINE = (
    _COMMON
    + """
times, memory = {"interpreter": since()}, {}
import json
import numpy as np
memory["numpy"] = resident()
from holdfast import intnet
from holdfast.engine.native import NativeNetwork
from holdfast.noise import DiscreteGaussian
times["imports"], memory["imports"] = since(), resident()
network = intnet.load(sys.argv[1])
times["load and check"], memory["load and check"] = since(), resident()
engine = NativeNetwork(network)
times["self-test"], memory["self-test and plan"] = since(), resident()
table = DiscreteGaussian("63.75").table
times["noise table"], memory["noise table"] = since(), resident()
image = np.zeros(network.shape, np.uint8)
engine.labels(image, table, (1, 2), 0, 1)
times["first label"], memory["first label"] = since(), resident()
engine.labels(image, table, (1, 2), 0, 1000)
memory["1000 labels"] = resident()
began = since()
NativeNetwork(network)
assert "torch" not in sys.modules
print(json.dumps([times, memory, since() - began]))
"""
)
_CERTIFY = (
    _COMMON
    + """
from holdfast.cli.app import run
sys.argv = ["holdfast", *sys.argv[1:]]
try:
    sys.exit(run())
finally:
    print(resident(), since())
"""
)


def measure_startup(network: IntegerNetwork, rounds: int) -> dict[str, dict[str, float]]:
    """CPU seconds of each step and bytes beyond a bare interpreter after it, medians over ``rounds`` processes.

    Args:
        network: of an image's shape (3, H, W) or (1, H, W).
        rounds: processes of each kind, in turns.

    Returns:
        ``seconds`` of each step of the engine without torch, in their order, and of ``holdfast certify``, whole;
        ``bytes`` after each step, of ``import torch`` and of ``holdfast certify``.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(network, folder / "net.hfi")
        images = np.random.default_rng(0).integers(0, 256, (2, *network.shape), dtype=np.uint8)
        np.savez(folder / "it.npz", images=images, labels=np.arange(2))
        found = [_one_round(folder, turn) for turn in range(rounds)]
    return {
        kind: {step: statistics.median(turn[kind][step] for turn in found) for step in found[0][kind]}
        for kind in ("seconds", "bytes")
    }


def _one_round(folder: Path, turn: int) -> dict[str, dict[str, float]]:
    bare, torch = (int(_run(code)[0]) for code in (_NOTHING, _TORCH))
    times, memory, planning = json.loads(_run(_ENGINE, str(folder / "net.hfi"))[0])
    steps = dict(zip(times, np.diff([0.0, *times.values()]).tolist(), strict=True))
    steps["self-test"] -= planning  # a second plan, made in the same process, says how much of the first was planning
    steps["plan"] = planning
    given = [folder / "net.hfi", "--data", folder / "it.npz", "--limit", 1, "--n", 1000, "--threads", 1]
    text, waited = _run(_CERTIFY, "certify", *map(str, given), "--ledger", str(folder / f"{turn}.ledger"))
    resident, spent = text.splitlines()[-1].split()
    steps |= {"engine, all of this": times["first label"], "holdfast certify, n = 1000": float(spent)}
    memory |= {"import torch": torch, "holdfast certify": int(resident)}
    return {
        "seconds": {**steps, "holdfast certify, wall clock": waited},
        "bytes": {step: value - bare for step, value in memory.items()},
    }


def _run(code: str, *arguments: str) -> tuple[str, float]:
    """Standard output of a process, and how long it ran."""
    began = time.monotonic()
    found = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return found.stdout, time.monotonic() - began
