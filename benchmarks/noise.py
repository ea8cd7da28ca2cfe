"""How fast noise is drawn: holdfast's addressed integers beside streams of normal floats, in one process.

Speeds of a machine come and go, so contestants take turns, every turn is measured in CPU time, and what is reported is
the median of the turns and ratios of medians. Run ``python benchmarks/noise.py --help``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from holdfast.noise import native, noise_law
from holdfast.noise.integer_noise import IntegerNoise
from holdfast.noise.sampler import sample_table
from holdfast.records import Address, Purpose

LAWS = ("discrete", "rounded")
SCALES = ("30.6", "63.75", "255")
PEERS = ("torch.randn", "numpy standard_normal")
ADDRESS = Address(bytes(32), bytes(range(32)), Purpose.ESTIMATE)

Contestants = dict[str, Callable[[], Any]]


def contestants(samples: int, dimension: int) -> Contestants:
    """Everything that is measured: each call makes ``samples`` x ``dimension`` draws, on one thread, into new memory."""
    generator = np.random.default_rng(1)
    found: Contestants = {
        PEERS[0]: lambda: torch.randn(samples, dimension),
        PEERS[1]: lambda: generator.standard_normal((samples, dimension), dtype=np.float32),
    }
    for law in LAWS:
        for sigma_px in SCALES:
            noise = noise_law(law, sigma_px)
            assert isinstance(noise, IntegerNoise)
            for engine, sample in _samplers().items():
                arguments = (noise.table, ADDRESS.philox_key(), 0, samples, dimension)
                found[f"{engine} {law} {sigma_px}"] = lambda s=sample, a=arguments: s(*a)
    return found


def _samplers() -> dict[str, Callable[..., Any]]:
    return {"numpy": sample_table} | ({"native": native.sample_table} if native.available() else {})


def measure(chosen: Contestants, draws: int, rounds: int) -> dict[str, float]:
    """Draws per CPU second of each: the median over ``rounds`` turns, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for turn in range(rounds + 1):
        for name, draw in chosen.items():
            began = time.process_time()
            draw()
            if turn:
                seconds[name].append(time.process_time() - began)
    return {name: draws / statistics.median(taken) for name, taken in seconds.items()}


def report(rates: dict[str, float]) -> list[dict[str, Any]]:
    """One row per contestant: draws per second, and how many times a peer's."""
    return [
        {"name": name, "draws_per_second": rate} | {f"times {peer}": rate / rates[peer] for peer in PEERS}
        for name, rate in rates.items()
    ]


def facts(samples: int, dimension: int, rounds: int) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "samples": samples,
        "dimension": dimension,
        "rounds": rounds,
        "threads": 1,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "native": native.available(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    head = f"{'':24}{'million draws/s':>16}" + "".join(f"{'times ' + peer:>29}" for peer in PEERS)
    lines = [
        f"{row['name']:24}{row['draws_per_second'] / 1e6:16.1f}" + "".join(f"{row[f'times {p}']:29.2f}" for p in PEERS)
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=512, help="noisy copies per turn (default 512)")
    parser.add_argument("--dimension", type=int, default=3072, help="coordinates of each (default 3072: 3 x 32 x 32)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contestant (default 9)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if min(chosen.samples, chosen.dimension, chosen.rounds) < 1:
        parser.error("--samples, --dimension and --rounds must be at least 1")
    torch.set_num_threads(1)
    rates = measure(contestants(chosen.samples, chosen.dimension), chosen.samples * chosen.dimension, chosen.rounds)
    rows, about = report(rates), facts(chosen.samples, chosen.dimension, chosen.rounds)
    if chosen.json:
        print(json.dumps({"facts": about, "rows": rows}, indent=2))
        return
    print(table(rows))
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    if not native.available():
        print("The native sampler was not built, or HOLDFAST_NATIVE=0 is set: only NumPy was measured.")


if __name__ == "__main__":
    main()
