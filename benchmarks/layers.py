"""Where the time of one noisy copy goes, layer by layer: the engine on ever longer beginnings of a network.

What a layer takes is the difference between the beginning that ends with it and the one that ends before it, measured in
turns and in CPU time. Layers side by side, such as a block's and its shortcut's, are one row. A difference of medians may
even be negative where a layer takes next to nothing. The engine chooses anew, for each beginning, from which layer on it
takes several images at a time: where weights are many, near the end of a network, only sums of rows mean something.

Run ``python benchmarks/layers.py --help``.
"""

from __future__ import annotations

import argparse
import json
import statistics
from math import prod
from pathlib import Path
from typing import Any

from engine import peak
from growth import SIGMA_PX, cpu_seconds, labeller
from shapes import CASES

from holdfast.engine.native import isas
from holdfast.intnet import Add, Concat, Conv, Flatten, Input, IntegerNetwork, Linear, Op, Subsample
from holdfast.noise import DiscreteGaussian
from holdfast.noise.native import sample_table


def sources_of(op: Op) -> tuple[int, ...]:
    """Positions of the values that an operation reads."""
    if isinstance(op, Input):
        return ()
    if isinstance(op, Add | Concat):
        return tuple(op.sources)
    added = (op.residual.source,) if isinstance(op, Conv | Linear) and op.residual is not None else ()
    return (op.source, *added)


def beginning(network: IntegerNetwork, last: int) -> IntegerNetwork:
    """The operations up to one; one pixel of its value (two, if there is one channel) are the logits, at next to no cost."""
    operations = list(network.operations[: last + 1])
    shape = network.values[last]
    if len(shape) == 3 and prod(shape[1:]) > 1:
        columns = shape[2] if shape[0] > 1 else -(-shape[2] // 2)  # logits are two numbers or more
        operations.append(Subsample("one pixel", len(operations) - 1, (shape[1], columns)))
    if len(shape) == 3:
        operations.append(Flatten("flatten", len(operations) - 1))
    return IntegerNetwork(operations)


def ends(network: IntegerNetwork) -> list[int]:
    """The positions at which a beginning can end: all values before are read by then. Input and first layer are one."""
    found, unread = [], set[int]()
    for position, op in enumerate(network.operations):
        unread = (unread - set(sources_of(op))) | {position}
        if len(unread) == 1 and not isinstance(op, Input | Flatten):
            found.append(position)
    return found


def measure(network: IntegerNetwork, isa: str, rounds: int) -> list[dict[str, Any]]:
    """A row for the noise and one per layer: seconds for one copy, multiplications, and the bytes it reads and writes."""
    last = ends(network)
    table, size = DiscreteGaussian(SIGMA_PX).table, prod(network.shape)
    labels = [lambda count: sample_table(table, (1, 2), 0, count, size)]
    labels += [labeller(beginning(network, position), isa)[1] for position in last]
    count = max(16, round(3e9 / network.macs) // 16 * 16)
    taken: list[list[float]] = [[] for _ in labels]
    for turn in range(rounds + 1):
        for seconds, label in zip(taken, labels, strict=True):
            spent = cpu_seconds(label, count) / count
            if turn:
                seconds.append(spent)
    until = [statistics.median(seconds) for seconds in taken]
    rows: list[dict[str, Any]] = [
        {"name": "noise", "shape": "x".join(map(str, network.shape)), "macs": 0, "seconds": until[0]}
    ]
    for i, (first, position) in enumerate(zip([0, *(p + 1 for p in last)], last, strict=False)):
        rows.append({**_facts(network, range(first, position + 1)), "seconds": until[i + 1] - until[i]})
    return rows


def _facts(network: IntegerNetwork, positions: range) -> dict[str, Any]:
    """Names, multiplications and bytes of some operations in a row; bytes of values as written and as read."""
    ops = [network.operations[position] for position in positions]
    return {
        "name": " + ".join(op.name for op in ops if not isinstance(op, Flatten)),
        "shape": "x".join(map(str, network.values[positions[-1]])),
        "macs": sum(network.macs_of(position) for position in positions),
        "weight_bytes": sum(op.weight.size for op in ops if isinstance(op, Conv | Linear)),
        "value_bytes": sum(
            prod(network.values[value])
            for position, op in zip(positions, ops, strict=True)
            for value in (position, *sources_of(op))
        ),
    }


def table(rows: list[dict[str, Any]], peak_macs: float | None) -> str:
    """The rows as text, with the share of the whole time."""
    whole, wide = sum(row["seconds"] for row in rows), max(len(row["name"]) for row in rows)
    lines = [
        f"{'':{wide}}{'shape':>12}{'us':>9}{'of all':>8}{'MMAC':>9}{'GMAC/s':>8}{'of peak':>8}{'weights':>9}{'values':>9}"
    ]
    for row in rows:
        line = f"{row['name']:{wide}}{row['shape']:>12}{1e6 * row['seconds']:9.1f}{row['seconds'] / whole:8.1%}"
        if row["macs"]:
            rate = row["macs"] / row["seconds"]
            share = f"{rate / peak_macs:8.0%}" if peak_macs else " " * 8
            line += f"{row['macs'] / 1e6:9.2f}{rate / 1e9:8.0f}{share}"
            line += f"{row['weight_bytes'] / 1024:7.0f} K{row['value_bytes'] / 1024:7.0f} K"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """The command."""
    here = [name for name, supported in isas().items() if supported]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=list(CASES), help="the network")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each beginning (default 5)")
    parser.add_argument("--isa", choices=here, default=here[-1], help=f"instruction set (default {here[-1]})")
    parser.add_argument("--peak", type=Path, help="the program holdfast_peak (make benchmark builds it)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    rows = measure(CASES[chosen.shape].integer(), chosen.isa, chosen.rounds)
    print(json.dumps(rows, indent=2) if chosen.json else table(rows, peak(chosen.peak)))


if __name__ == "__main__":
    main()
