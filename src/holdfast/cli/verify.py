"""``holdfast verify``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import DataDirOption, DeviceOption, JsonOption, MeanOption, StdOption, WeightsOption
from holdfast.cli.output import print_json, print_line, progress

if TYPE_CHECKING:
    from holdfast.ledger import Ledger
    from holdfast.protocols import NoisyClassifier
    from holdfast.records import Run

__all__ = ["ComputeRequest", "verify"]


@dataclass(frozen=True, slots=True)
class ComputeRequest:
    """What --replay and --fresh need."""

    book: Ledger
    replay: int
    fresh: int
    model: str | None
    weights: Path | None
    mean: str | None
    std: str | None
    data: str | None
    split: str
    data_dir: Path | None
    run: str | None
    device: str


def verify(
    ledger: Annotated[Path, typer.Argument(help="The ledger to check.")],
    replay: Annotated[
        int, typer.Option(min=0, help="Label this many cached samples of each run again.", metavar="K")
    ] = 0,
    fresh: Annotated[
        int, typer.Option(min=0, help="Test each certificate with this many samples of your own noise.", metavar="N")
    ] = 0,
    model: Annotated[
        str | None, typer.Option(help="The network, for --replay and --fresh: as for `holdfast certify`.")
    ] = None,
    weights: WeightsOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
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

    Exit code 1 and one line for each claim that does not hold, and where there is no certificate to verify.

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
            request = ComputeRequest(book, replay, fresh, model, weights, mean, std, data, split, data_dir, run, device)
            findings += _compute(request)
        certificates = sum(len(book.finished(r)) for r in book.runs())
        runs = len(book.runs())
        notes = list(work.reservations(book))
    verdict = "does not hold" if any(f.fatal for f in findings) else "holds" if certificates else "nothing to verify"
    if json:
        listed = [{"kind": f.kind, "text": f.text} for f in findings]
        print_json({"verdict": verdict, "runs": runs, "certificates": certificates, "findings": listed, "notes": notes})
    else:
        for finding in findings:
            print_line(f"{finding.kind.upper()}: {finding.text}")
        for note in notes:
            print_line(f"NOTE: {note}")
        print_line(f"{ledger}: {certificates} certificates in {runs} run{'s' * (runs != 1)}: {verdict}")
    if verdict != "holds":
        raise typer.Exit(1)


def _compute(request: ComputeRequest) -> list[Any]:
    """The checks that need the network."""
    from holdfast import data as datasets
    from holdfast.errors import ParameterError
    from holdfast.workflows import verify as work
    from holdfast.workflows.classifiers import as_classifier, load_network, parse_preprocessing

    if request.model is None or request.data is None:
        raise ParameterError("--replay and --fresh compute labels: give --model and --data")
    dataset = datasets.load(request.data, request.split, request.data_dir)
    preprocessing = parse_preprocessing(request.mean, request.std, dataset.shape[0])
    network = load_network(request.model, weights=request.weights, preprocessing=preprocessing, shape=dataset.shape)

    def classifier_of(run: Run) -> NoisyClassifier:
        """As in the run, as far as this machine can."""
        kinds: dict[str, type] = {"dtype": str, "threads": int, "clip": bool, "compiled": bool}
        how: dict[str, Any] = {k: v for k, v in run.classifier.items() if k in kinds and type(v) is kinds[k] and v}
        return as_classifier(network, sigma=run.sigma, noise=run.noise, device=request.device, **how)

    with progress("verify") as report:
        return list(
            work.check_by_computing(
                request.book,
                [request.book.run(request.run)] if request.run else request.book.runs(),
                classifier_of,
                dataset,
                replay_samples=request.replay,
                fresh_samples=request.fresh,
                on_progress=lambda done, total: report(done, total, f"{done}/{total} certificates with fresh noise"),
            )
        )
