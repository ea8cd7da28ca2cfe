"""What the IntRS study certifies: which network, at which noise, by which method, with how many samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studies.certifying import BY_SLUG, METHODS, Method

HERE = Path(__file__).resolve().parent
MODELS, LOGS = HERE.parent / "models", HERE / "logs"
SIGMAS = ("0.12", "0.25", "0.5", "1.0")


@dataclass(frozen=True)
class Kind:
    """A part of the study: its scale."""

    name: str
    inputs: int
    n: int


DIFFERENCES = Kind("differences", 2000, 1000)
TABLES = Kind("tables", 200, 10_000)
MISMATCH = Kind("mismatch", 200, 10_000)
LONG = Kind("long", 200, 100_000)
KINDS = (DIFFERENCES, TABLES, MISMATCH, LONG)


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        trained: noise that the network was trained at.
        sigma: noise that it is certified with.
    """

    kind: Kind
    trained: str
    sigma: str
    method: Method

    @property
    def model(self) -> Path:
        """The network: the integer one, or the control."""
        name = f"cifar10-resnet20-sigma{self.trained}"
        return MODELS / (f"{name}.hfi" if self.method.integer else f"{name}-control.safetensors")

    @property
    def ledger(self) -> str:
        """File name; one for every network and method, so that methods can run side by side."""
        return f"cifar10-resnet20-sigma{self.trained}-{self.method.slug}.ledger"

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.kind.name}: trained {self.trained}, sigma {self.sigma}, {self.method.name}"


def jobs() -> Iterator[Job]:
    """All runs, the most wanted first. Runs of 100 000 samples are for integer networks, which are fast enough, unclipped."""
    for kind in (DIFFERENCES, TABLES):
        for sigma in SIGMAS:
            for method in METHODS:
                yield Job(kind, sigma, sigma, method)
    for trained in ("0.12", "0.25"):
        for sigma in SIGMAS:
            for slug in ("intrs", "float"):
                if sigma != trained:
                    yield Job(MISMATCH, trained, sigma, BY_SLUG[slug])
    for slug in ("intrs", "quant"):
        for sigma in SIGMAS:
            yield Job(LONG, sigma, sigma, BY_SLUG[slug])
