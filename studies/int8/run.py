#!/usr/bin/env python3
"""The int8 study: digits and MNIST, float network against integer network, by the three methods of the IntRS paper.

usage: python studies/int8/run.py [--data-dir DIR] [--work-dir DIR] [--only NAME ...] [--threads N]

Compresses each float network (4 epochs of quantisation-aware training), then certifies 2000 test images (digits: all 500)
at n = 1000, alpha = 0.001 with

    IntRS-quant          the integer network, discrete Gaussian noise
    FloatRS-fp           the float network, continuous noise
    FloatRS-quant        continuous noise added, rounded to whole grey levels, the integer network
    FloatRS-quant, clip  the same, clipped to 0..255

and writes studies/int8/results.md. Interrupted, it continues; what is there already is not computed again.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from holdfast import data
from holdfast.data import DataSet
from holdfast.intnet import IntegerNetwork
from holdfast.ledger import Ledger
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Certificate, Preprocessing, Run
from holdfast.rounding import certified_at, cut_text, decimal_text, truncated_text
from holdfast.stats import (
    PairedCounts,
    accuracy_among_certified,
    average_certified_radius,
    certified_accuracy,
    certified_percentage,
    difference_upper_up,
)
from holdfast.training import EpochRecord, accuracy, choose, named, train
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.certify import Progress, certify_inputs, choose_indices, open_run
from holdfast.workflows.classifiers import Network, as_classifier, load_network
from holdfast.workflows.compress import CompressRequest, compress_network
from holdfast.workflows.train import recipe_for

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
N0, N, ALPHA, INPUTS = 100, 1000, "0.001", 2000
EPOCHS, LEVEL = 4, Fraction(1, 20)


@dataclass(frozen=True)
class Configuration:
    """One network of the study."""

    name: str
    data: str
    sigma: str


CONFIGURATIONS = (
    Configuration("digits-cnn-small-sigma0.15", "digits", "0.15"),
    Configuration("mnist-cnn-small-sigma0.25", "mnist", "0.25"),
    Configuration("mnist-cnn-small-sigma0.5", "mnist", "0.5"),
)


@dataclass(frozen=True)
class Method:
    """A way to certify: which network, which noise."""

    name: str
    integer: bool
    noise: str
    clip: bool = False


METHODS = (
    Method("IntRS-quant", True, "discrete"),
    Method("FloatRS-fp", False, "continuous"),
    Method("FloatRS-quant", True, "continuous"),
    Method("FloatRS-quant, clip", True, "continuous", clip=True),
)


def main() -> None:
    """Do what is not done yet, then write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir", type=Path, default=HERE.parents[1] / "build" / "studies", help="where ledgers are kept"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks only")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    sections = []
    for configuration in CONFIGURATIONS:
        if not arguments.only or configuration.name in arguments.only:
            sections.append(study(configuration, arguments.data_dir, arguments.work_dir, arguments.threads))
    text = "\n\n".join(sections) + "\n"
    print(text)
    if not arguments.only:
        (HERE / "results.md").write_text(text, encoding="utf-8")


def study(configuration: Configuration, data_dir: Path | None, work_dir: Path, threads: int) -> str:
    """One network, by all methods; its section of the results."""
    training, test = (data.load(configuration.data, split, data_dir) for split in ("train", "test"))
    floating, integer = networks(configuration, training, test)
    results = {}
    with Ledger(work_dir / f"{configuration.name}.ledger", create=True) as ledger:
        for method in METHODS:
            results[method.name] = certified(ledger, method, floating, integer, configuration, test, threads)
    return section(configuration, integer, results)


def networks(configuration: Configuration, training: DataSet, test: DataSet) -> tuple[Network, IntegerNetwork]:
    """The float network and its integer network, from studies/models or made now."""
    path = MODELS / f"{configuration.name}.safetensors"
    if not path.exists():
        train_digits(path, configuration, training, test)
    floating = load_network(str(path))
    assert isinstance(floating, Network)
    out = path.with_suffix(".hfi")
    if not out.exists():
        recipe = recipe_for("qat", training, None, None, epochs=EPOCHS)
        request = CompressRequest(network=floating, source=str(path), sigma=configuration.sigma, recipe=recipe, out=out)
        compress_network(request, training, test, say=print, on_epoch=lambda r: show_epoch(configuration.name, r))
        out.with_suffix(".csv").unlink(missing_ok=True)
    integer = load_network(str(out))
    assert isinstance(integer, IntegerNetwork)
    return floating, integer


def train_digits(path: Path, configuration: Configuration, training: DataSet, test: DataSet) -> None:
    """The one float network that no other study has trained: 25 epochs on the embedded digits."""
    spec = ModelSpec("cnn-small", training.num_classes, training.shape, Preprocessing((0.3,), (0.4,)))
    module = build(spec, seed=0)
    recipe = named("quick", epochs=25, batch=64, flip=False, crop=0)
    train(
        module,
        training.images,
        training.labels,
        preprocessing=spec.preprocessing,
        sigma=configuration.sigma,
        recipe=recipe,
        precision="float32",
        compiled=False,
        on_epoch=lambda r: show_epoch(configuration.name, r),
    )
    measured = (module, test.images, test.labels, spec.preprocessing, choose("cpu", "float32"))
    metadata = {
        "data": training.name,
        "data_digest": training.digest,
        "classes": list(training.classes),
        "sigma": configuration.sigma,
        "seed": 0,
        "epochs": recipe.epochs,
        "recipe": recipe.to_json(),
        "clean_accuracy": accuracy(*measured),
        "noisy_accuracy": accuracy(*measured, sigma_px=float(configuration.sigma) * 255),
    }
    checkpoint.save(path, module, spec, metadata)


def certified(
    ledger: Ledger,
    method: Method,
    floating: Network,
    integer: IntegerNetwork,
    configuration: Configuration,
    test: DataSet,
    threads: int,
) -> tuple[Run, list[tuple[int, Certificate]]]:
    """The certificates of one method, computed as far as they are not there."""
    classifier = as_classifier(
        integer if method.integer else floating,
        sigma=configuration.sigma,
        noise=method.noise,
        threads=threads,
        clip=method.clip,
    )
    run = open_run(ledger, classifier, test, n0=N0, n=N, alpha=ALPHA)
    chosen = choose_indices(len(test), min(INPUTS, len(test)), None)
    title = f"{configuration.name}, {method.name}"
    certify_inputs(ledger, run, classifier, test, chosen, on_progress=lambda p: show(title, p))
    return run, [(entry.label, entry.certificate) for entry in ledger.entries(run)]


def show(title: str, progress: Progress) -> None:
    """A line per hundred inputs."""
    if progress.finished is not None and progress.inputs_done % 100 == 0:
        rate = progress.samples_done / progress.seconds
        print(f"{title}: {progress.inputs_done}/{progress.inputs}, {rate:.0f} samples/s", flush=True)


def show_epoch(name: str, record: EpochRecord) -> None:
    """A line per epoch."""
    print(
        f"{name} epoch {record.epoch}: loss {record.train_loss:.4f}, train {record.train_accuracy:.4f}, "
        f"{record.images_per_second:.0f} images/s",
        flush=True,
    )


def section(
    configuration: Configuration,
    integer: IntegerNetwork,
    results: dict[str, tuple[Run, list[tuple[int, Certificate]]]],
) -> str:
    """Accuracies, then certified accuracy, percentage and eq. (10) of the paper by radius, then the paired limits."""
    facts = integer.metadata
    inputs = len(results["IntRS-quant"][1])
    lines = [
        f"## {configuration.name}",
        "",
        f"Clean accuracy on the whole test set: float {facts['float_clean_accuracy']:.4f}, int8 {facts['clean_accuracy']:.4f}; "
        f"under one draw of noise: float {facts['float_noisy_accuracy']:.4f}, int8 {facts['noisy_accuracy']:.4f}.",
        f"Certified: {inputs} test images, n0 = {N0}, n = {N}, alpha = {ALPHA}.",
    ]
    radii = [Fraction(configuration.sigma) * step / 4 for step in range(10)]
    for title, metric in (
        ("Certified accuracy (%)", certified_accuracy),
        ("Certified percentage (%)", certified_percentage),
        ("Accuracy among the certified, eq. (10) of the paper (%)", accuracy_among_certified),
    ):
        lines += [
            "",
            f"{title} by radius:",
            "",
            "| method | ACR | " + " | ".join(decimal_text(r) for r in radii) + " |",
        ]
        lines.append("|---|---|" + "---|" * len(radii))
        for name, (_, found) in results.items():
            triples = [(label, c.prediction, c.radius_sq_px) for label, c in found]
            cells = [truncated_text(metric(triples, r) * 100, 1) for r in radii]
            lines.append(f"| {name} | {cut_text(average_certified_radius(triples))} | " + " | ".join(cells) + " |")
    lines += ["", "Certified accuracy lost by IntRS-quant, with its one-sided 95 % upper limit (paired, proved):", ""]
    lines.append("| against | " + " | ".join(decimal_text(r) for r in radii) + " |")
    lines.append("|---|" + "---|" * len(radii))
    for name in list(results)[1:]:
        lines.append(
            f"| {name} | " + " | ".join(loss(results[name][1], results["IntRS-quant"][1], r) for r in radii) + " |"
        )
    lines += [
        "",
        "Runs: " + ", ".join(f"{name} `{run.id}` (nonce `{run.nonce}`)" for name, (run, _) in results.items()),
    ]
    return "\n".join(lines)


def loss(first: list[tuple[int, Certificate]], second: list[tuple[int, Certificate]], radius: Fraction) -> str:
    """How much more the first certifies, and the limit."""
    pairs = [
        [label == c.prediction and certified_at(c.radius_sq_px, radius) for label, c in found]
        for found in (first, second)
    ]
    counts = PairedCounts.of(*pairs)
    limit = Fraction(math.ceil(difference_upper_up(counts, LEVEL) * 10_000), 10_000)
    return f"{float(counts.difference):+.4f}, at most {float(limit):.4f}"


if __name__ == "__main__":
    main()
