"""Whose certificates are compared: runs and published results named as ``LEDGER`` or ``LEDGER:RUN``, input by input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from holdfast.certify import certified_count
from holdfast.errors import LedgerError, ParameterError
from holdfast.ledger import Ledger
from holdfast.records import ImportedRun, Run
from holdfast.report import ImportedReport, RunReport
from holdfast.report.content import Measured
from holdfast.rounding import certified_at

__all__ = ["Contender", "Outcome", "contender", "contenders_of", "matched", "split_name"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known about one input.

    Attributes:
        index: position in the data set.
        label: its true class.
        prediction: the certified class, or :data:`holdfast.records.ABSTAIN`.
        radius: in [0, 1] image units, exact: of a certificate the double that is never too large, else as printed.
        radius_sq_px: of a certificate; None where only the printed radius is known.
        digest: of the image; None where it is not known.
    """

    index: int
    label: int
    prediction: int
    radius: Fraction
    radius_sq_px: int | None = None
    digest: str | None = None

    @property
    def correct(self) -> bool:
        """Not abstained, and the true class."""
        return self.prediction == self.label

    def correct_at(self, radius: Fraction) -> bool:
        """Correct, and certified at a radius in image units."""
        if self.radius_sq_px is None:
            return self.correct and self.radius >= radius
        return self.correct and certified_at(self.radius_sq_px, radius)

    @property
    def gain(self) -> Fraction:
        """The radius where correct, else 0: what the average certified radius is the mean of."""
        return self.radius if self.correct else Fraction(0)


@dataclass(frozen=True)
class Contender:
    """A run, or published results, with everything that a comparison needs."""

    record: Run | ImportedRun
    ledger: str
    outcomes: Mapping[int, Outcome]
    measured: Measured
    seconds: float | None = None
    hosts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run's id, or what published results are called."""
        return self.record.id if isinstance(self.record, Run) else self.record.name

    @property
    def sigma(self) -> Fraction | None:
        """Noise scale in image units, if known."""
        return Fraction(self.record.sigma) if self.record.sigma else None

    @cached_property
    def cap_sq_px(self) -> int | None:
        """The squared radius of a unanimous vote, which nothing can exceed; None for published results."""
        run = self.record
        if not isinstance(run, Run):
            return None
        return certified_count(run.n, run.n, Fraction(run.alpha), run.sigma_px, Fraction(run.epsilon))[1]

    def reaches(self, radius: Fraction) -> bool:
        """Whether anything could be certified at a radius in image units."""
        return self.cap_sq_px is None or certified_at(self.cap_sq_px, radius)

    @property
    def samples(self) -> int | None:
        """Noisy copies labelled for its certificates."""
        run = self.record
        return len(self.outcomes) * (run.n0 + run.n) if isinstance(run, Run) else None

    def notes(self) -> list[str]:
        """What a reader has to know about it."""
        if not isinstance(self.record, Run):
            return [f"imported from {self.record.source}: radii as printed, not re-checkable"]
        float_noise = [] if self.record.exact else ["float noise; these radii are outside the exact guarantee"]
        return float_noise + (["its nonce was given, not drawn: no fresh evidence"] if self.record.nonce_given else [])


def split_name(text: str) -> tuple[Path, str | None]:
    """``LEDGER`` or ``LEDGER:RUN`` as a file and a run; a file whose name has a colon is found by its whole name.

    Example:
        >>> split_name("net.ledger:3f9a")
        (PosixPath('net.ledger'), '3f9a')
    """
    path, colon, run = text.rpartition(":")
    if Path(text).exists() or not colon or not path:
        return Path(text), None
    return Path(path), run


def contenders_of(text: str) -> list[Contender]:
    """Everything that ``LEDGER`` holds, or what ``LEDGER:RUN`` names: a run by the beginning of its id, or by its name.

    Raises:
        LedgerError: the ledger cannot be read, or there is no such run.
    """
    path, name = split_name(text)
    with Ledger(path) as ledger:
        if name is not None:
            return [contender(ledger, name)]
        found = [_own(ledger, run) for run in ledger.runs()] + [_published(ledger, p) for p in ledger.imported()]
    if not found:
        raise LedgerError(f"{path}: nothing to compare: no runs and no imported results")
    return found


def contender(ledger: Ledger, name: str) -> Contender:
    """A run by the beginning of its id, or published results by their name.

    Raises:
        LedgerError: none has it; names those that are here.
    """
    for published in ledger.imported():
        if published.name == name:
            return _published(ledger, published)
    try:
        return _own(ledger, ledger.run(name))
    except LedgerError as error:
        names = ", ".join(repr(p.name) for p in ledger.imported())
        raise LedgerError(f"{error}{f'; imported: {names}' if names else ''}") from error


def _own(ledger: Ledger, run: Run) -> Contender:
    entries, executions = list(ledger.entries(run)), ledger.executions(run)
    outcomes = {}
    for entry in entries:
        c = entry.certificate
        outcomes[entry.index] = Outcome(
            entry.index, entry.label, c.prediction, Fraction(c.radius), c.radius_sq_px, entry.digest
        )
    measured = RunReport(run, tuple((e.label, e.certificate) for e in entries), source=ledger.path.name)
    seconds = sum(e.seconds for e in executions) if executions else None
    found = Contender(run, str(ledger.path), outcomes, measured, seconds, tuple(sorted({e.host for e in executions})))
    too_large = [
        i for i, o in outcomes.items() if o.radius_sq_px is not None and o.radius_sq_px > (found.cap_sq_px or 0)
    ]
    if too_large:
        raise LedgerError(
            f"{ledger.path}: run {run.id}, input {too_large[0]}: a larger radius than a unanimous vote gives; "
            "see `holdfast verify`"
        )
    return found


def _published(ledger: Ledger, published: ImportedRun) -> Contender:
    outcomes = {r.index: Outcome(r.index, r.label, r.prediction, Fraction(r.radius)) for r in published.results}
    return Contender(published, str(ledger.path), outcomes, ImportedReport(published, source=ledger.path.name))


def matched(first: Contender, second: Contender) -> list[tuple[Outcome, Outcome]]:
    """The inputs that both have, by index; images are the same by their digests where both are known.

    Raises:
        ParameterError: they are about other data, or have no input in common.
        LedgerError: they contradict each other about an input.
    """
    _require_same_data(first, second)
    pairs = [(first.outcomes[i], second.outcomes[i]) for i in sorted(first.outcomes.keys() & second.outcomes.keys())]
    if not pairs:
        raise ParameterError(f"{first.name} and {second.name} have no input in common: nothing can be paired")
    for one, other in pairs:
        if None not in (one.digest, other.digest) and one.digest != other.digest:
            raise LedgerError(f"{first.name} and {second.name}: input {one.index} is another image in each")
        if one.label != other.label:
            raise LedgerError(
                f"{first.name} and {second.name}: the true label of input {one.index} is {one.label} in one and "
                f"{other.label} in the other: is the data set the same?"
            )
    return pairs


def _require_same_data(first: Contender, second: Contender) -> None:
    """Runs by the digest of their data; published results have only its name."""
    one, other = first.record, second.record
    if isinstance(one, Run) and isinstance(other, Run):
        same = one.data_digest == other.data_digest
    else:
        same = bool(_names(one) & _names(other))
    if not same:
        names = [f"{r.data} ({r.data_digest[:8]})" if isinstance(r, Run) else r.data for r in (one, other)]
        raise ParameterError(
            f"{first.name} is about {names[0]}, {second.name} about {names[1]}: results on other data cannot be compared"
        )


def _names(record: Run | ImportedRun) -> set[str]:
    """What the data are called: a run says ``cifar10 test``, published results perhaps only ``cifar10``."""
    return {record.data, record.data.removesuffix(" test")}
