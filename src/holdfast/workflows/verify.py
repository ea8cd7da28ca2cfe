"""``holdfast verify``: another person's look at a ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from holdfast.certify import label_batches
from holdfast.certify.check import certificate_problems, fresh_refutes, refutation_limit, run_problems
from holdfast.data import DataSet
from holdfast.digest import array_digest
from holdfast.errors import LedgerError, ParameterError
from holdfast.ledger import Entry, Ledger, ledger_problems
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Purpose, Run

__all__ = [
    "REFUTATION_LEVEL",
    "Finding",
    "check_by_computing",
    "check_claims",
    "check_inputs",
    "check_model",
    "fresh_test",
    "replay",
    "reservations",
]

REFUTATION_LEVEL = Fraction(1, 1_000_000)
_MODEL_FACTS = ("weights", "graph", "preprocessing", "dtype", "network", "clip", "law")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a verifier found.

    Attributes:
        kind: ``fails`` (a claim does not hold), ``refuted`` (fresh noise contradicts it), ``not reproducible here``
            (this machine computes other labels than the one that certified; no refutation).
        text: one sentence.
    """

    kind: str
    text: str

    @property
    def fatal(self) -> bool:
        """Whether the ledger must be rejected."""
        return self.kind != "not reproducible here"


def check_claims(ledger: Ledger, on_progress: Callable[[int, int], None] = lambda _d, _n: None) -> Iterator[Finding]:
    """Recompute every bound and radius from the stored counts, and the counts from the cached labels."""
    yield from (Finding("fails", text) for text in ledger_problems(ledger))
    for run in ledger.runs():
        yield from (Finding("fails", f"run {run.id}: {text}") for text in run_problems(run))
        entries = list(ledger.entries(run))
        for done, entry in enumerate(entries, 1):
            yield from (
                Finding("fails", f"{_name(run, entry)}: {text}")
                for text in certificate_problems(run, entry.certificate)
            )
            on_progress(done, len(entries))


def reservations(ledger: Ledger) -> Iterator[str]:
    """What a reader has to know although nothing is wrong with it: keys that were chosen, float noise, imported results."""
    for run in ledger.runs():
        if run.nonce_given:
            yield (
                f"run {run.id}: its nonce was given, not drawn, so its noise could have been chosen: no evidence by itself; "
                "--fresh tests the claims with noise of your own"
            )
        if not run.exact:
            yield f"run {run.id}: float noise; its radii are outside the exact guarantee"
    for published in ledger.imported():
        yield f"{published.name!r}: imported from {published.source}; nothing in it can be re-checked"


def check_by_computing(
    ledger: Ledger,
    runs: list[Run],
    classifier_of: Callable[[Run], NoisyClassifier],
    data: DataSet,
    *,
    replay_samples: int,
    fresh_samples: int,
    on_progress: Callable[[int, int], None] = lambda _d, _n: None,
) -> Iterator[Finding]:
    """Replay cached labels and test claims with fresh noise, run by run; either number may be 0.

    Raises:
        ParameterError: model or data are not a run's.
    """
    for run in runs:
        classifier = classifier_of(run)
        other_machine = check_model(run, classifier, data)
        if other_machine is not None:
            yield other_machine
        yield from check_inputs(ledger, run, data)
        yield from replay(ledger, run, classifier, data, replay_samples, np.random.default_rng())
        if fresh_samples:
            yield from fresh_test(ledger, run, classifier, data, fresh_samples, on_progress)


def check_model(run: Run, classifier: NoisyClassifier, data: DataSet) -> Finding | None:
    """Whether model and data are the run's; a finding when only this machine differs.

    Raises:
        ParameterError: it is another model or other data, so nothing can be compared.
    """
    if data.digest != run.data_digest:
        raise ParameterError(
            f"run {run.id} is about other data than this {data.name}: its digest is {run.data_digest[:16]}..."
        )
    if classifier.fingerprint == run.fingerprint:
        return None
    facts = sorted({*run.classifier, *classifier.description})
    differing = [k for k in facts if run.classifier.get(k) != classifier.description.get(k)]
    if any(fact in differing for fact in _MODEL_FACTS):
        raise ParameterError(f"run {run.id} is about another model: {', '.join(differing)} differ")
    if not differing:
        return Finding("fails", f"run {run.id}: its fingerprint is not the one of the classifier it describes")
    return Finding("not reproducible here", f"run {run.id}: this machine differs in {', '.join(differing)}")


def check_inputs(ledger: Ledger, run: Run, data: DataSet) -> Iterator[Finding]:
    """Whether every certified input is one of the data set, with the image and the true label that the data set gives it."""
    for entry in ledger.entries(run):
        if not _has_image(data, entry):
            yield Finding("fails", f"{_name(run, entry)}: the data set has no such input, or another image there")
        elif entry.label != data.labels[entry.index]:
            known = int(data.labels[entry.index])
            yield Finding("fails", f"{_name(run, entry)}: its true label is {known} in the data set, not {entry.label}")


def _has_image(data: DataSet, entry: Entry) -> bool:
    return entry.index < len(data) and array_digest(data.images[entry.index]).hex() == entry.digest


def _entries_with_their_image(ledger: Ledger, run: Run, data: DataSet) -> list[Entry]:
    return [entry for entry in ledger.entries(run) if _has_image(data, entry)]


def replay(
    ledger: Ledger, run: Run, classifier: NoisyClassifier, data: DataSet, samples: int, rng: np.random.Generator
) -> Iterator[Finding]:
    """Label ``samples`` cached samples of random certificates again and compare.

    A finding is fatal when this machine has the run's fingerprint, else "not reproducible here".
    """
    kind = "fails" if classifier.fingerprint == run.fingerprint else "not reproducible here"
    entries = _entries_with_their_image(ledger, run, data)
    while samples > 0 and entries:
        entry = entries[int(rng.integers(len(entries)))]
        image = data.images[entry.index]
        try:
            cached = dict(zip((Purpose.SELECT, Purpose.ESTIMATE), ledger.labels(run, entry.index), strict=True))
        except LedgerError as error:
            yield Finding("fails", f"{_name(run, entry)}: {error}")
            return
        purpose = Purpose.SELECT if rng.random() < run.n0 / (run.n0 + run.n) else Purpose.ESTIMATE
        start = int(rng.integers(len(cached[purpose])))
        count = min(samples, 256 - start % 256, len(cached[purpose]) - start)
        again = classifier.labels(image, run.address(bytes.fromhex(entry.digest), purpose), start, count)
        wrong = np.flatnonzero(again != cached[purpose][start : start + count])
        if wrong.size:
            sample = start + int(wrong[0])
            yield Finding(
                kind,
                f"{_name(run, entry)}: {purpose} sample {sample} is labelled {int(again[wrong[0]])} here, "
                f"{int(cached[purpose][sample])} in the ledger ({wrong.size} of {count} differ)",
            )
        samples -= count


def fresh_test(
    ledger: Ledger,
    run: Run,
    classifier: NoisyClassifier,
    data: DataSet,
    samples: int,
    on_progress: Callable[[int, int], None] = lambda _d, _n: None,
) -> Iterator[Finding]:
    """Test every certified probability with noise of the verifier's own, at level 1e-6 for all of them together.

    A certificate is refuted when ``samples`` fresh labels contradict its ``p_lower``. Up to a share alpha of valid
    certificates may be; more of them than chance allows refute the run (docs/theory/statistics.md,
    "How a verifier checks").
    """
    entries = [entry for entry in _entries_with_their_image(ledger, run, data) if not entry.certificate.abstained]
    key, refuted = os.urandom(32), 0
    for done, entry in enumerate(entries, 1):
        image = data.images[entry.index]
        address = Address(key, array_digest(image), Purpose.VERIFY)
        labels = np.concatenate(list(label_batches(classifier, image, address, 0, samples)))
        count = int(np.count_nonzero(labels == entry.certificate.label))
        if fresh_refutes(entry.certificate, count, samples, REFUTATION_LEVEL / len(entries)):
            refuted += 1
            yield Finding(
                "refuted",
                f"{_name(run, entry)}: label {entry.certificate.label} won {count} of {samples} fresh samples, which "
                f"contradicts the claimed probability {entry.certificate.p_lower:.6f}",
            )
        on_progress(done, len(entries))
    if entries and refuted >= refutation_limit(len(entries), Fraction(run.alpha), REFUTATION_LEVEL):
        yield Finding(
            "refuted",
            f"run {run.id}: {refuted} of {len(entries)} certificates are false, too many for alpha={run.alpha}",
        )


def _name(run: Run, entry: Entry) -> str:
    return f"run {run.id}, input {entry.index}"
