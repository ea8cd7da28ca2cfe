"""``holdfast certify``: choose or resume a run, certify inputs one by one, keep everything in the ledger."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from holdfast.certify import DEFAULT_BATCH, check_image, decide, label_batches, new_run
from holdfast.data import DataSet
from holdfast.digest import array_digest
from holdfast.errors import ParameterError, RunMismatch
from holdfast.ledger import Execution, Ledger, check_run, mismatch_text
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Certificate, Purpose, Run

__all__ = ["Progress", "certify_inputs", "choose_indices", "open_run", "plan_run"]

_KEEP_SECONDS = 2.0
"""Labels of an unfinished input are kept this often: what a kill can cost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a certification stands, after every batch of labels.

    Attributes:
        inputs_done: inputs of this call that are finished.
        inputs: inputs of this call in all.
        samples_done: samples labelled by this call.
        samples_left: samples still to be labelled.
        seconds: since the start.
        finished: the certificate, when an input was just finished.
        true_label: its true label.
    """

    inputs_done: int
    inputs: int
    samples_done: int
    samples_left: int
    seconds: float
    finished: Certificate | None = None
    true_label: int | None = None

    @property
    def seconds_left(self) -> float:
        """At the speed so far."""
        return self.seconds * self.samples_left / self.samples_done if self.samples_done else float("nan")


def choose_indices(total: int, limit: int | None, indices: str | None) -> list[int]:
    """Which inputs to certify.

    Args:
        total: inputs in the data set.
        limit: that many, evenly spaced over the data set (so a set sorted by class is covered fairly).
        indices: or a list such as ``0,5,10:20`` (the end is not included; ``::20`` is every twentieth).

    Raises:
        ParameterError: both are given, none is chosen, or an index is outside the data set.

    Example:
        >>> choose_indices(100, 4, None), choose_indices(100, None, "3,0:6:2")
        ([0, 25, 50, 75], [0, 2, 3, 4])
    """
    if indices is not None:
        if limit is not None:
            raise ParameterError("give --limit or --indices, not both")
        chosen = sorted({i for part in indices.split(",") for i in _index_range(part.strip(), total)})
        if not chosen:
            raise ParameterError(f"--indices {indices} chooses none of the {total} inputs (0 to {total - 1})")
        return chosen
    if limit is None or limit >= total:
        return list(range(total))
    if limit < 1:
        raise ParameterError(f"--limit must be at least 1, not {limit}")
    return [i * total // limit for i in range(limit)]


def _index_range(part: str, total: int) -> Iterable[int]:
    try:
        numbers = [int(p) if p else None for p in part.split(":")]
        chosen = range(total)[slice(*numbers)] if len(numbers) > 1 else [int(part)]
    except (ValueError, TypeError) as error:
        raise ParameterError(f"--indices takes numbers and ranges such as 0,5,10:20, not {part!r}") from error
    if any(not 0 <= i < total for i in chosen):
        raise ParameterError(f"index {part} is outside the data set, which has {total} inputs (0 to {total - 1})")
    return chosen


def plan_run(
    classifier: NoisyClassifier, data: DataSet, *, n0: int, n: int, alpha: str, nonce: str | None = None
) -> Run:
    """A new run that is written nowhere yet; what could not be certified or kept is refused here.

    Raises:
        ParameterError: data that the classifier does not take, or a parameter out of range.
        ImpossibleRequest: n too small for alpha.
    """
    if tuple(data.shape) != tuple(classifier.shape) or data.num_classes > classifier.num_classes:
        raise ParameterError(
            f"{data.name} has images of shape {tuple(data.shape)} in {data.num_classes} classes; the network takes "
            f"{tuple(classifier.shape)} and knows {classifier.num_classes}"
        )
    run = new_run(
        classifier, data=f"{data.name} {data.split}", data_digest=data.digest, n0=n0, n=n, alpha=alpha, nonce=nonce
    )
    check_run(run)
    return run


def open_run(
    ledger: Ledger,
    classifier: NoisyClassifier,
    data: DataSet,
    *,
    n0: int,
    n: int,
    alpha: str,
    nonce: str | None = None,
    resume: str | None = None,
    fresh: bool = False,
) -> Run:
    """The run to work on: one with these parameters that is already in the ledger, else a new one.

    Args:
        ledger: where runs are kept.
        classifier: final.
        data: what will be certified.
        n0: selection samples.
        n: estimation samples.
        alpha: failure probability.
        nonce: to replay a run.
        resume: id (or its beginning) of a run that must be continued; its parameters must agree.
        fresh: start another run even if one with these parameters is there.

    Raises:
        RunMismatch: the run to resume has other parameters; it can be neither changed nor extended.
    """
    run = plan_run(classifier, data, n0=n0, n=n, alpha=alpha, nonce=nonce)
    if resume is not None:
        known = ledger.run(resume)
        if known.parameters() != run.parameters():
            raise RunMismatch(mismatch_text(known, run.parameters()))
        return known
    known_run = None if fresh else ledger.matching_run(run.parameters(), nonce)
    if known_run is not None:
        return known_run
    ledger.add_run(run)
    return run


def certify_inputs(
    ledger: Ledger,
    run: Run,
    classifier: NoisyClassifier,
    data: DataSet,
    indices: Iterable[int],
    *,
    batch: int = DEFAULT_BATCH,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Certify inputs that have no certificate yet, in the order given; each is durable when it is done.

    A kill at any moment costs at most a few seconds of labels; calling again continues and ends with the same ledger.

    Raises:
        ParameterError: classifier or data are not the run's.
    """
    if classifier.fingerprint != run.fingerprint or data.digest != run.data_digest:
        raise ParameterError(f"run {run.id} was started for another classifier or other data")
    finished = ledger.finished(run)
    work = [i for i in indices if i not in finished]
    clock = _Clock(inputs=len(work), left=len(work) * (run.n0 + run.n), report=on_progress)
    for index in work:
        image, true_label = check_image(data.images[index], run.shape), int(data.labels[index])
        digest, began, before = array_digest(image), time.perf_counter(), clock.done
        selection, estimation = (
            _labels(ledger, run, index, classifier, image, run.address(digest, purpose), count, batch, clock)
            for purpose, count in ((Purpose.SELECT, run.n0), (Purpose.ESTIMATE, run.n))
        )
        certificate = decide(run, index, digest, selection, estimation)
        timing = _execution(run, index, classifier, clock.done - before, time.perf_counter() - began)
        ledger.record(run, true_label, certificate, selection, estimation, timing)
        clock.finish(certificate, true_label)


class _Clock:
    """Counts samples and inputs, and reports them."""

    def __init__(self, inputs: int, left: int, report: Callable[[Progress], None]) -> None:
        self._inputs, self._left, self._report = inputs, left, report
        self._inputs_done, self.done, self._start = 0, 0, time.perf_counter()

    def skip(self, samples: int) -> None:
        """Samples that an earlier call labelled."""
        self._left -= samples

    def add(self, samples: int) -> None:
        """Samples just labelled."""
        self.done += samples
        self._left -= samples
        self._report(self._progress())

    def finish(self, certificate: Certificate, true_label: int) -> None:
        """An input just finished."""
        self._inputs_done += 1
        self._report(self._progress(certificate, true_label))

    def _progress(self, certificate: Certificate | None = None, true_label: int | None = None) -> Progress:
        seconds = time.perf_counter() - self._start
        return Progress(self._inputs_done, self._inputs, self.done, self._left, seconds, certificate, true_label)


def _labels(
    ledger: Ledger,
    run: Run,
    index: int,
    classifier: NoisyClassifier,
    image: NDArray[np.uint8],
    address: Address,
    count: int,
    batch: int,
    clock: _Clock,
) -> NDArray[np.uint16]:
    """All labels of one purpose: those kept by an interrupted call, and the rest."""
    parts = [ledger.partial(run, index, address.purpose)[:count]]
    kept = done = len(parts[0])
    clock.skip(done)
    last = time.perf_counter()
    for labels in label_batches(classifier, image, address, done, count, batch):
        parts.append(labels)
        done += len(labels)
        clock.add(len(labels))
        if time.perf_counter() - last > _KEEP_SECONDS and done < count:
            ledger.keep_partial(run, index, address.purpose, kept, np.concatenate(parts)[kept:done])
            kept, last = done, time.perf_counter()
    return np.concatenate(parts)


def _execution(run: Run, index: int, classifier: NoisyClassifier, samples: int, seconds: float) -> Execution:
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    return Execution(run.id, index, samples, seconds, platform.node(), classifier.executor, finished)
