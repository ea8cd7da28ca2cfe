"""``holdfast certify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import (
    AlphaOption,
    BatchOption,
    ClipOption,
    CompileOption,
    DataDirOption,
    DeviceOption,
    DtypeOption,
    EngineOption,
    JsonOption,
    MeanOption,
    ModelArgument,
    NoiseOption,
    SigmaOption,
    StdOption,
    ThreadsOption,
    WeightsOption,
)
from holdfast.cli.output import error_console, print_json, print_line, progress, seconds_text
from holdfast.rounding import cut_text, share_text

if TYPE_CHECKING:
    from holdfast.workflows.certify import Progress

__all__ = ["certify"]


def certify(
    model: ModelArgument,
    data: Annotated[
        str, typer.Option(help="A data set's name, or an .npz with `images` (uint8, N x C x H x W) and `labels`.")
    ],
    ledger: Annotated[Path, typer.Option(help="Where certificates and labels are kept; created if it is not there.")],
    sigma: SigmaOption = None,
    n0: Annotated[int, typer.Option(help="Samples that select the class.")] = 100,
    n: Annotated[int, typer.Option(help="Samples that estimate its probability, fixed in advance.")] = 100_000,
    alpha: AlphaOption = "0.001",
    limit: Annotated[
        int | None, typer.Option(help="Certify this many inputs, evenly spaced over the data set.")
    ] = None,
    indices: Annotated[
        str | None, typer.Option(help="Certify these inputs: numbers and ranges such as 0,5,10:20 or ::20.")
    ] = None,
    noise: NoiseOption = "discrete",
    dtype: DtypeOption = "float32",
    compiled: CompileOption = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    engine: EngineOption = None,
    clip: ClipOption = False,
    batch_size: BatchOption = 1024,
    split: Annotated[str, typer.Option(help="Which part of the data set.")] = "test",
    data_dir: DataDirOption = None,
    weights: WeightsOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    resume: Annotated[
        str | None, typer.Option(help="Id of a run to continue; an error if its parameters differ.", metavar="RUN")
    ] = None,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="Start another run even if one like this is there.")
    ] = False,
    nonce: Annotated[
        str | None,
        typer.Option(help="Replay a run: 64 hex digits. Marked in the ledger: a chosen nonce is no evidence."),
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say time, samples and bytes, and stop.")] = False,
    json: JsonOption = False,
) -> None:
    """Prove, for each input, how far it can be perturbed before the smoothed prediction can change.

    CERTIFY of Cohen et al. with integer noise: n0 noisy copies select a class, n others bound its probability from below,
    and the bound gives a radius, stored as a whole number of squared grey levels. Every label is kept in the ledger, so
    another person can verify it, and a killed run continues where it stopped: run the same command again.

    Example: holdfast certify net.safetensors --data digits --n 10000 --ledger net.ledger
    """
    from holdfast import data as datasets
    from holdfast.ledger import Ledger
    from holdfast.workflows import certify as work
    from holdfast.workflows.classifiers import as_classifier, load_network, parse_preprocessing
    from holdfast.workflows.planning import estimate as estimate_work
    from holdfast.workflows.planning import self_test
    from holdfast.workflows.summary import summarise

    console = error_console()
    dataset = datasets.load(data, split, data_dir)
    preprocessing = parse_preprocessing(mean, std, dataset.shape[0])
    network = load_network(model, weights=weights, preprocessing=preprocessing, shape=dataset.shape)
    classifier = as_classifier(
        network,
        sigma=sigma,
        noise=noise,
        dtype=dtype,
        device=device,
        threads=threads,
        clip=clip,
        engine=engine,
        compiled=compiled,
    )
    chosen = work.choose_indices(len(dataset), limit, indices)
    if estimate:
        work.plan_run(classifier, dataset, n0=n0, n=n, alpha=alpha, nonce=nonce)
        _print_estimate(estimate_work(classifier, dataset, chosen, n0, n, batch_size), json)
        return
    with Ledger(ledger, create=True) as book:
        run = work.open_run(
            book, classifier, dataset, n0=n0, n=n, alpha=alpha, nonce=nonce, resume=resume, fresh=new_run
        )
        for warning in self_test(classifier, dataset, chosen):
            console.print(f"warning: {warning}", markup=False)
        before = len(book.finished(run).intersection(chosen))
        state = f"continuing, {before} of {len(chosen)} inputs done" if before else f"{len(chosen)} inputs"
        console.print(f"run {run.id} in {ledger}: {state}; {run.theorem}", markup=False)
        with progress("certify") as report:
            work.certify_inputs(
                book, run, classifier, dataset, chosen, batch=batch_size, on_progress=lambda p: _report(p, report)
            )
        summary = summarise(book, run)
    print_json(summary) if json else _print_summary(summary, ledger)


def _report(p: Progress, report: Any) -> None:
    total = p.samples_done + p.samples_left
    rate = p.samples_done / p.seconds if p.seconds else 0.0
    report(p.samples_done, max(total, 1), f"{p.inputs_done}/{p.inputs} inputs, {rate:,.0f} samples/s", p.seconds_left)


def _print_estimate(estimate: Any, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "inputs": estimate.inputs,
                "samples": estimate.samples,
                "samples_per_second": round(estimate.samples_per_second),
                "seconds": round(estimate.seconds, 1),
                "ledger_bytes": estimate.ledger_bytes,
            }
        )
        return
    print_line(
        f"{estimate.inputs} inputs, {estimate.samples:,} samples at {estimate.samples_per_second:,.0f} a second here: "
        f"about {seconds_text(estimate.seconds)}; the ledger grows by about {estimate.ledger_bytes / 1e6:.1f} MB"
    )


def _print_summary(summary: dict[str, Any], ledger: Path) -> None:
    print_line(f"run {summary['run']}: {summary['inputs']} inputs, {summary['abstained']} abstained")
    if not summary["exact"]:
        print_line("NOTE: float noise; these radii are outside the exact guarantee")
    print_line(f"average certified radius {cut_text(summary['average_certified_radius'])} (image units)")
    for radius, accuracy in summary["certified_accuracy"].items():
        print_line(f"certified accuracy at radius {radius}: {share_text(accuracy, summary['inputs'])}")
    print_line(f"Next: holdfast verify {ledger}")
