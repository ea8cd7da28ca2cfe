#!/usr/bin/env python3
"""Tables 1, 2, 4 and 5 of the IntRS paper and the paired differences, from the ledgers of studies/intrs/certify.py.

usage: python -m studies.intrs.results [--work-dir DIR]

Writes studies/intrs/results.md. What is not certified yet is missing from the tables and named at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

from studies.certifying import (
    ALPHA,
    METRICS,
    N0,
    Results,
    finished_run,
    header,
    loss_table,
    metric_table,
    results_of,
    triples,
    verdict,
)
from studies.intrs.plan import DIFFERENCES, HERE, LONG, MISMATCH, MODELS, SIGMAS, TABLES, Job, Kind, jobs

from holdfast import intnet
from holdfast.certify import decide
from holdfast.certify.predict import decide_prediction
from holdfast.intnet import IntegerNetwork
from holdfast.ledger import Ledger
from holdfast.models import checkpoint
from holdfast.records import Run, Tally
from holdfast.rounding import truncated_text
from holdfast.stats import certified_accuracy
from holdfast.workflows.classifiers import load_network

PAPER_RADII = [Fraction(step, 4) for step in range(9)]
ALPHAS = ("0.1", "0.01", "0.001", "0.0001")


@cache
def integer_network(path: Path) -> IntegerNetwork | None:
    """The network that a run must be of; None where there is none yet."""
    return intnet.load(path) if path.exists() else None


class Ledgers:
    """The finished runs of the study.

    Args:
        folder: where the ledgers are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: list[str] = []

    def run(self, job: Job) -> Run | None:
        """The run of a job, if every input is certified."""
        path, network = self.folder / job.ledger, integer_network(job.model) if job.method.integer else None
        if path.exists() and job.model.exists():
            with Ledger(path) as ledger:
                scale = {"sigma": job.sigma, "n": job.kind.n, "inputs": job.kind.inputs}
                run = finished_run(ledger, job.method, **scale, network=network)
            if run is not None:
                return run
        if job.title not in self.missing:
            self.missing.append(job.title)
        return None

    def results(self, job: Job) -> Results | None:
        """Its certificates."""
        run = self.run(job)
        if run is None:
            return None
        with Ledger(self.folder / job.ledger) as ledger:
            return results_of(ledger, run)

    def by_method(self, kind: Kind, sigma: str, trained: str | None = None) -> dict[str, Results]:
        """The certificates of every method at one noise."""
        found = {}
        for job in jobs():
            if (job.kind, job.sigma, job.trained) == (kind, sigma, trained or sigma):
                results = self.results(job)
                if results is not None:
                    found[job.method.name] = results
        return found

    def with_alpha(self, job: Job, alpha: str) -> Results | None:
        """What the labels of a run prove at another alpha, as if it had been chosen before."""
        run = self.run(job)
        if run is None:
            return None
        other = replace(run, alpha=alpha, alpha_split=(alpha,))
        with Ledger(self.folder / job.ledger) as ledger:
            return [
                (e.label, decide(other, e.index, bytes.fromhex(e.certificate.digest), *ledger.labels(run, e.index)))
                for e in ledger.entries(run)
            ]

    def predicted(self, job: Job, n: int) -> tuple[Fraction, Fraction] | None:
        """Shares of correct answers and of abstentions of PREDICT on the first n labels of every input."""
        run = self.run(job)
        if run is None:
            return None
        with Ledger(self.folder / job.ledger) as ledger:
            entries = list(ledger.entries(run))
            correct = abstained = 0
            for entry in entries:
                counts = Tally.of(ledger.labels(run, entry.index)[1][:n], run.num_classes).counts
                answer = decide_prediction(counts, Fraction(ALPHA))
                abstained += answer.abstained
                correct += answer.label == entry.label
        return Fraction(correct, len(entries)), Fraction(abstained, len(entries))


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], prog="python -m studies.intrs.results"
    )
    parser.add_argument(
        "--work-dir", type=Path, default=HERE.parents[1] / "build" / "studies" / "intrs", help="where the ledgers are"
    )
    ledgers = Ledgers(parser.parse_args().work_dir)
    lines = ["# IntRS on CIFAR-10 with ResNet-20: results", ""]
    for part in (
        networks(),
        differences(ledgers),
        prediction(ledgers),
        *tables(ledgers),
        mismatch(ledgers),
        nonces(ledgers),
    ):
        lines += [*part, ""]
    if ledgers.missing:
        lines += ["## Not certified", "", *(f"- {title}" for title in ledgers.missing), ""]
    (HERE / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"{HERE / 'results.md'}: {len(ledgers.missing)} runs missing")


def networks() -> Iterator[str]:
    """Accuracies on the whole test set."""
    yield from ("## Networks", "", "Accuracy on the 10 000 test images, clean and under one draw of noise.", "")
    yield "| sigma | float, 30 epochs | control, 8 more | int8, 8 of quantised training | file of the int8 network |"
    yield "|---|---|---|---|---|"
    for sigma in SIGMAS:
        name = f"cifar10-resnet20-sigma{sigma}"
        facts = []
        for suffix in (".safetensors", "-control.safetensors", ".hfi"):
            path = MODELS / f"{name}{suffix}"
            if not path.exists():
                facts.append("")
                continue
            known = load_network(str(path)).metadata if suffix == ".hfi" else checkpoint.read_header(path)[1]
            facts.append(f"{known['clean_accuracy']:.4f} / {known['noisy_accuracy']:.4f}")
        size = (MODELS / f"{name}.hfi").stat().st_size if facts[-1] else 0
        yield f"| {sigma} | {' | '.join(facts)} | {size} bytes |"


def differences(ledgers: Ledgers) -> Iterator[str]:
    """What IntRS loses, with limits."""
    yield from ("## Certified accuracy lost by IntRS-quant", "")
    yield f"{DIFFERENCES.inputs} test images, n0 = {N0}, n = {DIFFERENCES.n}, alpha = {ALPHA}: the difference in certified accuracy"
    yield "on the same images, with its one-sided 95 % upper limit (paired, proved). Asked for: at most 0.02 at every radius."
    for sigma in SIGMAS:
        radii = [Fraction(sigma) * step / 4 for step in range(10)]
        results = ledgers.by_method(DIFFERENCES, sigma)
        if "IntRS-quant" in results:
            yield from ("", f"### sigma {sigma}", "", *loss_table(results, radii), "")
            yield from metric_table(certified_accuracy, results, radii)
            if "FloatRS-fp" in results:
                yield from ("", *verdict(results, sigma, radii))


def prediction(ledgers: Ledgers) -> Iterator[str]:
    """Table 1."""
    yield from ("## Table 1: PREDICT when n varies (sigma 0.25)", "")
    yield f"{TABLES.inputs} test images, alpha = {ALPHA}; the first n labels of the certification runs."
    yield from ("", "| method | n | correct | abstain |", "|---|---|---|---|")
    for job in jobs():
        sizes = {TABLES: (100, 1000, 10_000), LONG: (100_000,)}.get(job.kind, ())
        if job.sigma == job.trained == "0.25" and job.method.slug in ("intrs", "float"):
            for n in sizes:
                shares = ledgers.predicted(job, n)
                if shares is not None:
                    correct, abstained = (truncated_text(share * 100, 1) for share in shares)
                    yield f"| {job.method.name} | {n} | {correct} % | {abstained} % |"


def tables(ledgers: Ledgers) -> Iterator[list[str]]:
    """Table 2, with n = 10 000 and 100 000, and Figure 11."""
    for kind in (TABLES, LONG):
        lines = [f"## Table 2: certified accuracy by radius, {kind.inputs} test images, n = {kind.n}", ""]
        for sigma in SIGMAS:
            results = ledgers.by_method(kind, sigma)
            if results:
                lines += [f"### sigma {sigma}, n = {kind.n}", "", *all_metrics(results)]
        yield lines
    lines = ["## Figure 11: certified accuracy when alpha varies (sigma 0.25, n = 10 000)", ""]
    radii = [Fraction(step, 8) for step in range(8)]
    lines += header("method, alpha", radii)
    for job in jobs():
        if job.kind is TABLES and job.sigma == "0.25" and job.method.slug in ("intrs", "float"):
            for alpha in ALPHAS:
                results = ledgers.with_alpha(job, alpha)
                if results is not None:
                    cells = [truncated_text(certified_accuracy(triples(results), r) * 100, 1) for r in radii]
                    lines.append(f"| {job.method.name}, {alpha} | {' | '.join(cells)} |")
    yield lines


def mismatch(ledgers: Ledgers) -> Iterator[str]:
    """Tables 4 and 5."""
    for number, trained in ((4, "0.12"), (5, "0.25")):
        yield from (f"## Table {number}: trained at sigma {trained}, certified at others", "")
        yield f"{MISMATCH.inputs} test images, n = {MISMATCH.n}."
        for sigma in SIGMAS:
            kind = TABLES if sigma == trained else MISMATCH
            results = ledgers.by_method(kind, sigma, trained)
            kept = {name: found for name, found in results.items() if name in ("IntRS-quant", "FloatRS-fp")}
            if kept:
                yield from ("", f"### certified at sigma {sigma}", "", *all_metrics(kept))
        yield ""


def all_metrics(results: dict[str, Results]) -> Iterator[str]:
    """A table by the radii of the paper for each metric: the field's two, and the paper's own."""
    for title, metric in METRICS:
        yield from (f"{title} by radius:", "", *metric_table(metric, results, PAPER_RADII), "")


def nonces(ledgers: Ledgers) -> Iterator[str]:
    """What repeats the runs."""
    yield from ("## Runs", "", "| run | id | nonce |", "|---|---|---|")
    for job in jobs():
        run = ledgers.run(job)
        if run is not None:
            yield f"| {job.title} | `{run.id}` | `{run.nonce}` |"


if __name__ == "__main__":
    main()
