"""``holdfast verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli.options import DataDirOption, DeviceOption, JsonOption
from holdfast.cli.output import print_json, print_line, progress

__all__ = ["verify"]


def verify(
    ledger: Annotated[Path, typer.Argument(help="The ledger to check.")],
    replay: Annotated[
        int, typer.Option(min=0, help="Label this many cached samples of each run again.", metavar="K")
    ] = 0,
    fresh: Annotated[
        int, typer.Option(min=0, help="Test each certificate with this many samples of your own noise.", metavar="N")
    ] = 0,
    model: Annotated[Path | None, typer.Option(help="The network, for --replay and --fresh.")] = None,
    data: Annotated[str | None, typer.Option(help="The data, for --replay and --fresh.")] = None,
    run: Annotated[
        str | None, typer.Option(help="Replay or test only this run (its id or the beginning of it).")
    ] = None,
    split: Annotated[str, typer.Option(help="Which part of the data set.")] = "test",
    data_dir: DataDirOption = None,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
) -> None:
    """Check somebody's certificates, by other formulas than those that made them.

    Always: every bound and radius is recomputed from the stored counts (incomplete beta and gamma functions instead of
    series and erfc), every count from the cached labels. With --replay, cached labels of random certificates are computed
    again from the model. With --fresh, your own noise tests each claimed probability, at level 1e-6 for all together: this
    is what finds a key that was ground to be lucky.

    Exit code 1 and one line for each claim that does not hold.

    Example: holdfast verify net.ledger --replay 2000 --fresh 10000 --model net.safetensors --data digits
    """
    from holdfast.ledger import Ledger
    from holdfast.workflows import verify as work

    with Ledger(ledger) as book:
        with progress("verify") as report:
            findings = list(
                work.check_claims(book, lambda done, total: report(done, total, f"{done}/{total} certificates"))
            )
        if replay or fresh:
            findings += _compute(book, replay, fresh, model, data, run, split, data_dir, device)
        certificates = sum(len(book.finished(r)) for r in book.runs())
        runs = len(book.runs())
    verdict = "does not hold" if any(f.fatal for f in findings) else "holds"
    if json:
        listed = [{"kind": f.kind, "text": f.text} for f in findings]
        print_json({"verdict": verdict, "runs": runs, "certificates": certificates, "findings": listed})
    else:
        for finding in findings:
            print_line(f"{finding.kind.upper()}: {finding.text}")
        print_line(f"{ledger}: {certificates} certificates in {runs} run{'s' * (runs != 1)}: {verdict}")
    if verdict != "holds":
        raise typer.Exit(1)


def _compute(
    book: Any, replay: int, fresh: int, model: Path | None, data: str | None, prefix: str | None,
    split: str, data_dir: Path | None, device: str,
) -> list[Any]:  # fmt: skip
    """The checks that need the network."""
    import numpy as np

    from holdfast import data as datasets
    from holdfast.errors import ParameterError
    from holdfast.workflows import verify as work
    from holdfast.workflows.classifiers import load_classifier

    if model is None or data is None:
        raise ParameterError("--replay and --fresh compute labels: give --model and --data")
    dataset = datasets.load(data, split, data_dir)
    findings = []
    for run in [book.run(prefix)] if prefix else book.runs():
        how = {name: run.classifier[name] for name in ("dtype", "threads") if run.classifier.get(name)}
        classifier, _ = load_classifier(model, sigma=run.sigma, noise=run.noise, device=device, **how)
        other_machine = work.check_model(run, classifier, dataset)
        findings += [other_machine] if other_machine else []
        if replay:
            findings += work.replay(book, run, classifier, dataset, replay, np.random.default_rng())
        if fresh:
            with progress("fresh noise") as report:
                findings += work.fresh_test(
                    book, run, classifier, dataset, fresh, lambda done, total: report(done, total, f"{done}/{total}")
                )
    return findings
