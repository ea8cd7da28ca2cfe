"""``holdfast report``: from ledgers, and what can be found out about them, to what is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast import data as datasets
from holdfast.data import DataSet
from holdfast.digest import array_digest
from holdfast.errors import HoldfastError, LedgerError, ParameterError
from holdfast.ledger import Execution, Ledger, canonical_export
from holdfast.noise import noise_law
from holdfast.records import Run
from holdfast.report import (
    Cost,
    Example,
    ImportedReport,
    RunReport,
    Timing,
    network_cost,
    noisy_example,
)

__all__ = ["DataFinder", "ReportRequest", "gather", "network_costs", "report_on"]


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What to report on.

    Attributes:
        ledgers: the files.
        runs: beginnings of the ids of the runs wanted; empty for all.
        models: checkpoints whose size is reported for the runs that are about them.
        pictures: whether images are shown.
    """

    ledgers: tuple[Path, ...]
    runs: tuple[str, ...] = ()
    models: tuple[Path, ...] = ()
    pictures: bool = True


class DataFinder:
    """Finds the data set of a run; each is read once.

    Args:
        named: a name or path that the user gave; errors in reading it are the user's to see.
        data_dir: where data sets are kept.
    """

    def __init__(self, named: str | None = None, data_dir: Path | None = None) -> None:
        self._named, self._data_dir = named, data_dir
        self._known: dict[str, DataSet | None] = {}

    def find(self, run: Run) -> tuple[DataSet | None, str]:
        """The run's own data set, by its digest; or none, and why.

        A ledger's name for its data is looked up among the known data sets. It is never taken for a path.
        """
        if run.data not in self._known:
            self._known[run.data] = self._load(run.data)
        data = self._known[run.data]
        if data is None:
            return None, (
                f"No pictures of {run.data}: it was not found where this page was made. "
                "Say where it is with --data or --data-dir."
            )
        if data.digest != run.data_digest:
            return None, f"No pictures of {run.data}: what is kept under this name here has another digest."
        return data, ""

    def _load(self, text: str) -> DataSet | None:
        name, _, split = text.rpartition(" ")
        if self._named is not None:
            return datasets.load(self._named, split, self._data_dir)
        try:
            datasets.find(name, self._data_dir)
            return datasets.load(name, split, self._data_dir)
        except HoldfastError:
            return None


def gather(
    request: ReportRequest, finder: DataFinder, say: Callable[[str], None] = lambda _: None
) -> tuple[list[RunReport], list[ImportedReport]]:
    """Everything there is to report.

    Args:
        request: what to report on.
        finder: finds pictures.
        say: called with a sentence before what takes time.

    Raises:
        LedgerError: a ledger cannot be read.
        ParameterError: there is no such run, nothing to report, or a model that no run is about.
    """
    reports: list[RunReport] = []
    imported: list[ImportedReport] = []
    for path in request.ledgers:
        say(f"reading {path.name} ...")
        with Ledger(path) as ledger:
            wanted = [run for run in ledger.runs() if _is_wanted(run, request.runs)]
            digest = sha256(canonical_export(ledger)).hexdigest() if wanted else ""
            found = [report_on(ledger, run, finder, request.pictures) for run in wanted]
            reports += [replace(report, export_digest=digest) for report in found]
            imported += [ImportedReport(known, path.name) for known in ledger.imported()]
    for prefix in request.runs:
        if not any(report.run.id.startswith(prefix) for report in reports):
            raise ParameterError(
                f"no run {prefix!r} in {', '.join(map(str, request.ledgers))}; see holdfast ledger list"
            )
    if not reports and not imported:
        raise ParameterError(f"there is nothing to report in {', '.join(map(str, request.ledgers))}: no run is in it")
    costs = network_costs(request.models, [report.run for report in reports], say)
    return [replace(report, cost=costs.get(report.run.id)) for report in reports], imported


def report_on(ledger: Ledger, run: Run, finder: DataFinder, pictures: bool = True) -> RunReport:
    """One run with its results, its times, and pictures where the data set can be found."""
    entries = list(ledger.entries(run))
    timings = tuple(_timing(ledger, execution) for execution in ledger.executions(run))
    report = RunReport(run, tuple((e.label, e.certificate) for e in entries), source=ledger.path.name, timings=timings)
    data, problem = finder.find(run)
    if data is None:
        return replace(report, images_note=problem if pictures else "")
    report = replace(report, classes=data.classes)
    if not pictures:
        return report
    images = {
        e.index: data.images[e.index]
        for e in entries
        if e.index < len(data) and array_digest(data.images[e.index]).hex() == e.certificate.digest
    }
    note = "" if len(images) == len(entries) else f"{len(entries) - len(images)} inputs are not those of {run.data}."
    return replace(report, images=images, images_note=note, examples=_examples(ledger, report, images))


def network_costs(
    models: Iterable[Path], runs: Sequence[Run], say: Callable[[str], None] = lambda _: None
) -> dict[str, Cost]:
    """Sizes of networks, by the id of each run that is about one of them: same weights, same preprocessing.

    Raises:
        ModelFileError: a file is no checkpoint.
        ParameterError: no run is about it.
    """
    found: dict[str, Cost] = {}
    for path in models:
        say(f"counting {path.name} ...")
        about = _sizes(path, runs)
        if not about:
            raise ParameterError(f"no run here is about {path}: other weights or another preprocessing; leave it out")
        found |= about
    return found


def _sizes(path: Path, runs: Sequence[Run]) -> dict[str, Cost]:
    from holdfast.engine.torch import DTYPES
    from holdfast.workflows.classifiers import Network, as_classifier, load_network

    network, file_bytes = load_network(str(path)), path.stat().st_size
    if not isinstance(network, Network):
        cost = Cost(file_bytes, network.weights, network.weights, network.macs)
        return {run.id: cost for run in runs if run.classifier.get("network") == network.digest}
    dtypes = {str(run.classifier.get("dtype")) for run in runs} & DTYPES.keys()
    facts = {d: as_classifier(network, sigma="0.25", dtype=d, threads=1).description for d in sorted(dtypes)}
    about = [run for run in runs if _is_about(run, facts.get(str(run.classifier.get("dtype")), {}))]
    if not about:
        return {}
    return dict.fromkeys((run.id for run in about), network_cost(network.module, network.spec.shape, file_bytes))


def _is_about(run: Run, description: dict[str, Any]) -> bool:
    """Whether a run's classifier has these weights and this preprocessing."""
    facts = ("weights", "preprocessing")
    return bool(description) and all(run.classifier.get(fact) == description[fact] for fact in facts)


def _is_wanted(run: Run, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(run.id.startswith(prefix) for prefix in prefixes)


def _timing(ledger: Ledger, e: Execution) -> Timing:
    """What was recorded about one computation, if it is what its name promises."""
    if not (e.samples >= 0 and isfinite(e.seconds) and e.seconds >= 0):
        raise LedgerError(f"{ledger.path}: a record of when something was computed is damaged (input {e.index})")
    return Timing(e.index, e.samples, e.seconds, e.host, e.engine)


def _is_known_noise(run: Run) -> bool:
    """Whether this holdfast draws the noise that the run names."""
    try:
        return noise_law(run.noise, run.sigma_px).digest == run.noise_digest
    except ParameterError:
        return False


def _examples(ledger: Ledger, report: RunReport, images: dict[int, NDArray[np.uint8]]) -> tuple[Example, ...]:
    """Noisy copies of the first input whose picture is known, if the noise is that of this holdfast."""
    run = report.run
    if not images or not _is_known_noise(run):
        return ()
    index = min(images)
    digest = next(bytes.fromhex(c.digest) for _, c in report.results if c.index == index)
    labels = ledger.labels(run, index)[1].tolist()
    return (noisy_example(run, index, digest, images[index], labels),)
