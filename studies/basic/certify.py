#!/usr/bin/env python3
"""Certify the networks of the basic study: 200 test images, evenly spaced, n = 10000, alpha = 0.001.

usage: python studies/basic/certify.py [--data-dir DIR] [--only NAME ...] [--dtype bfloat16] [--threads 1]

Writes studies/basic/ledgers/NAME.ledger and prints the table of studies/basic/README.md. Interrupted, it continues.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from holdfast import data
from holdfast.ledger import Ledger
from holdfast.rounding import truncated_text
from holdfast.stats import average_certified_radius, certified_accuracy
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.certify import Progress, certify_inputs, choose_indices, open_run
from holdfast.workflows.classifiers import as_classifier, load_network

HERE = Path(__file__).resolve().parent
MODELS, LEDGERS = HERE.parent / "models", HERE / "ledgers"
NAMES = (
    "cifar10-resnet20-sigma0.25",
    "cifar10-resnet20-sigma0.5",
    "cifar10-resnet20-sigma1.0",
    "mnist-cnn-small-sigma0.25",
    "mnist-cnn-small-sigma0.5",
)
N0, N, ALPHA, INPUTS = 100, 10_000, "0.001", 200
RADII = tuple(Fraction(r) for r in ("0", "0.25", "0.5", "0.75", "1.0"))


def main() -> None:
    """Certify what is not certified yet, then print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="certify these networks only")
    parser.add_argument("--dtype", default="bfloat16", help="arithmetic of the networks")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    for name in NAMES:
        if not arguments.only or name in arguments.only:
            certify(MODELS / f"{name}.safetensors", arguments.data_dir, arguments.dtype, arguments.threads)
    table()


def certify(path: Path, data_dir: Path | None, dtype: str, threads: int) -> None:
    """One network."""
    network = load_network(str(path))
    test = data.load(str(network.metadata["data"]), "test", data_dir)
    classifier = as_classifier(network, dtype=dtype, threads=threads)
    LEDGERS.mkdir(exist_ok=True)
    with Ledger(LEDGERS / f"{path.stem}.ledger", create=True) as ledger:
        run = open_run(ledger, classifier, test, n0=N0, n=N, alpha=ALPHA)
        chosen = choose_indices(len(test), INPUTS, None)
        certify_inputs(ledger, run, classifier, test, chosen, on_progress=lambda p: show(path.stem, p))


def show(name: str, progress: Progress) -> None:
    """A line per input."""
    if progress.finished is not None:
        rate = progress.samples_done / progress.seconds
        print(
            f"{name}: {progress.inputs_done}/{progress.inputs}, {rate:.0f} samples/s, {progress.finished}", flush=True
        )


def table() -> None:
    """Certified accuracy in percent, cut, from the ledgers that are there."""
    print(f"| network | inputs | ACR | {' | '.join(f'r = {float(r)}' for r in RADII)} |")
    print(f"|---|---|---|{'---|' * len(RADII)}")
    for path in sorted(LEDGERS.glob("*.ledger")):
        with Ledger(path) as ledger:
            for run in ledger.runs():
                results = [(e.label, e.certificate.prediction, e.certificate.radius_sq_px) for e in ledger.entries(run)]
                acr = truncated_text(Fraction(average_certified_radius(results)), 3)
                shares = " | ".join(truncated_text(certified_accuracy(results, r) * 100, 1) for r in RADII)
                print(f"| {path.stem} | {len(results)} | {acr} | {shares} |")


if __name__ == "__main__":
    main()
