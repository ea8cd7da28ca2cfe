"""What travels between the rooms: plain frozen values, no behaviour beyond what they mean."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import canonical_json
from holdfast.errors import ParameterError
from holdfast.rounding import radius_down, radius_text

__all__ = [
    "ABSTAIN",
    "Address",
    "Certificate",
    "ImportedResult",
    "ImportedRun",
    "Preprocessing",
    "Purpose",
    "Run",
    "Tally",
]

ABSTAIN = -1
"""The label and the squared radius of an abstention."""


class Purpose(StrEnum):
    """What samples are for. Different purposes never share noise (docs/theory/randomness.md)."""

    SELECT = "select"
    ESTIMATE = "estimate"
    PILOT = "pilot"
    PREDICT = "predict"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Address:
    """Where noise comes from. The same address and sample index give the same noise on every machine.

    Attributes:
        run_key: 32 bytes, from :attr:`Run.run_key`.
        input_digest: 32 bytes, :func:`holdfast.digest.array_digest` of the image.
        purpose: what the samples are for.
        layer: 0 for input noise; networks with internal noise number their layers from 1.
    """

    run_key: bytes
    input_digest: bytes
    purpose: Purpose
    layer: int = 0

    def __post_init__(self) -> None:
        if len(self.run_key) != 32 or len(self.input_digest) != 32 or not 0 <= self.layer < 1 << 32:
            raise ParameterError(
                f"an address needs a key and a digest of 32 bytes each and a layer in [0, 2^32), not "
                f"{len(self.run_key)} and {len(self.input_digest)} bytes and layer {self.layer}"
            )

    def philox_key(self) -> tuple[int, int]:
        """The two 32-bit key words: the first 8 bytes, little-endian, of SHA-256 of the address.

        The hashed text is ``run_key || input_digest || purpose (ASCII) || 0x00 || layer (uint32, little-endian)``.
        """
        text = (
            self.run_key + self.input_digest + self.purpose.encode("ascii") + b"\0" + self.layer.to_bytes(4, "little")
        )
        head = hashlib.sha256(text).digest()[:8]
        return int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The one map from pixels to a float network's input: ``(z / 255 - mean[c]) / std[c]``.

    ``z`` is an image or an image plus noise, in grey levels, not clipped. The map is applied as ``z * scale + shift``
    with the float32 numbers of :meth:`scale_shift`, so it is a function of ``z`` alone (docs/theory/statistics.md,
    "Networks that compute in floating point").

    Example:
        >>> Preprocessing((0.5,), (0.5,)).scale_shift()[1]
        array([-1.], dtype=float32)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ParameterError(
                f"mean and std need one number per channel each, not {len(self.mean)} and {len(self.std)}"
            )
        if not all(np.isfinite(self.mean)) or not all(np.isfinite(s) and s > 0 for s in self.std):
            raise ParameterError(f"mean must be finite and std positive, not {self.mean} and {self.std}")

    def scale_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Per-channel float32 ``scale = 1/(255 std)`` and ``shift = -mean/std``, each computed in float64 and rounded once."""
        mean, std = np.asarray(self.mean, dtype=np.float64), np.asarray(self.std, dtype=np.float64)
        return (1.0 / (255.0 * std)).astype(np.float32), (-mean / std).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Tally:
    """Class counts of a range of samples, with the labels they were counted from."""

    counts: tuple[int, ...]
    labels: NDArray[np.uint16]

    @classmethod
    def of(cls, labels: NDArray[np.uint16], num_classes: int) -> Tally:
        """Count labels; every label must be below ``num_classes``.

        Example:
            >>> Tally.of(np.array([2, 0, 2], dtype=np.uint16), 3).counts
            (1, 0, 2)
        """
        counts = np.bincount(labels, minlength=num_classes)
        if len(counts) != num_classes:
            raise ParameterError(f"label {int(labels.max())} is outside the {num_classes} classes")
        return cls(tuple(int(c) for c in counts), labels)

    @property
    def top(self) -> int:
        """The most frequent class; the lowest index on ties."""
        return int(np.argmax(self.counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all certificates of one run share. Immutable: another n, alpha or sigma is another run.

    The run key, and with it all noise, depends on every field that changes what is certified, and on the nonce,
    which is drawn when the run starts, after the classifier is final (docs/theory/randomness.md).

    Attributes:
        fingerprint: hex SHA-256 of the classifier.
        classifier: readable facts behind the fingerprint.
        noise: ``discrete``, ``rounded`` or ``continuous``.
        noise_digest: hex SHA-256 of the noise table.
        sigma: scale of the noise in [0, 1] image units, a canonical decimal or fraction.
        data: name of the data set.
        data_digest: hex SHA-256 of its images and labels.
        num_classes: number of classes.
        shape: (C, H, W) of an image; the radius lives in this space.
        n0: samples that select the class.
        n: samples that estimate its probability, fixed in advance.
        alpha: failure probability of each certificate, a decimal string.
        alpha_split: how alpha is divided over the bounds used; their sum is alpha.
        bound: how counts become ``p_lower``.
        looks: sample numbers at which the bound is evaluated; ``(n,)`` for a fixed-n run.
        theorem: what turns ``p_lower`` into a radius.
        epsilon: what is charged to ``p_lower`` for the noise table, a decimal that is not too small.
        nonce: hex, 32 bytes.
        nonce_given: the nonce was chosen by the caller (a replay), not drawn; such a run is no fresh evidence.
    """

    fingerprint: str
    classifier: dict[str, Any]
    noise: str
    noise_digest: str
    sigma: str
    data: str
    data_digest: str
    num_classes: int
    shape: tuple[int, ...]
    n0: int
    n: int
    alpha: str
    alpha_split: tuple[str, ...]
    bound: str
    looks: tuple[int, ...]
    theorem: str
    epsilon: str
    nonce: str
    nonce_given: bool

    def parameters(self) -> dict[str, Any]:
        """Every field but the nonce, as JSON values: what must agree for a run to be resumed."""
        return {
            f.name: list(v) if isinstance(v := getattr(self, f.name), tuple) else v
            for f in fields(self)
            if f.name not in ("nonce", "nonce_given")
        }

    @property
    def run_key(self) -> bytes:
        """``SHA-256(nonce || canonical JSON of the parameters)``, 32 bytes: the root of all noise of this run."""
        return hashlib.sha256(bytes.fromhex(self.nonce) + canonical_json(self.parameters())).digest()

    @property
    def id(self) -> str:
        """Sixteen hex digits that name the run."""
        return hashlib.sha256(b"holdfast run id\0" + self.run_key).hexdigest()[:16]

    @property
    def sigma_px(self) -> Fraction:
        """Scale of the noise in grey levels, exact."""
        return Fraction(self.sigma) * 255

    @property
    def exact(self) -> bool:
        """Whether the noise is an integer lattice, so that the guarantee is exact; false for the float baseline."""
        return self.noise != "continuous"

    def address(self, input_digest: bytes, purpose: Purpose) -> Address:
        """The address of an input's samples."""
        return Address(self.run_key, input_digest, purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was proved about one input.

    With probability at least ``1 - alpha`` over the run's noise: if ``radius_sq_px >= 0``, the smoothed classifier
    answers ``label`` for every image at squared Euclidean distance at most ``radius_sq_px`` in integer grey levels.

    Attributes:
        run: id of the run.
        index: position in the data set.
        digest: hex SHA-256 of the image.
        label: the class selected on the n0 samples (also when the certificate abstains).
        radius_sq_px: certified ``floor(R^2)`` in squared grey levels; -1 is an abstention.
        p_lower: proved lower limit of the probability of ``label`` (a double, exact as stored).
        p_upper: proved upper limit of the probability of every other class.
        selection_counts: class counts of the n0 selection samples.
        counts: class counts of the n estimation samples.
    """

    run: str
    index: int
    digest: str
    label: int
    radius_sq_px: int
    p_lower: float
    p_upper: float
    selection_counts: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def abstained(self) -> bool:
        """Nothing could be certified."""
        return self.radius_sq_px < 0

    @property
    def prediction(self) -> int:
        """``label``, or :data:`ABSTAIN`."""
        return ABSTAIN if self.abstained else self.label

    @property
    def radius(self) -> float:
        """Certified radius in [0, 1] image units, rounded down; 0.0 when abstained."""
        return radius_down(self.radius_sq_px)

    def __str__(self) -> str:
        if self.abstained:
            return f"input {self.index}: abstained"
        return f"input {self.index}: label {self.label}, radius {radius_text(self.radius_sq_px)}"


@dataclass(frozen=True, slots=True)
class ImportedResult:
    """One line of somebody else's table.

    Attributes:
        index: position in the data set.
        label: the true class.
        prediction: the certified class, or :data:`ABSTAIN`.
        radius: radius in [0, 1] image units, the decimal as it was printed; "0" when abstained.
    """

    index: int
    label: int
    prediction: int
    radius: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """Published results, kept beside one's own: no counts, no noise, no key, so nobody here can re-check them.

    Attributes:
        name: what the curve is called in reports.
        source: name of the file the table came from.
        source_digest: hex SHA-256 of that file.
        data: name of the data set, as the importer says.
        sigma: scale of the noise in [0, 1] image units as the importer says, a canonical decimal; empty if unknown.
        results: one per input, by index.
    """

    name: str
    source: str
    source_digest: str
    data: str
    sigma: str
    results: tuple[ImportedResult, ...]
