"""CERTIFY and PREDICT on a device's own terms: counts, two tables and comparisons; no float, no proof at run time.

A host proves the tables once (:meth:`DeviceTables.build`). A device adds integer noise to integer pixels, runs an integer
network, counts its labels, and asks :func:`select`, :meth:`DeviceTables.certify`, :meth:`DeviceTables.predict` and
:func:`covers`, which compute with integers alone (IntRS paper, Theorem 3.2; docs/theory/on-device.md).

What integers cannot enforce, and the guarantee needs:

- **A fresh secret key for every PREDICT query.** An adversary who knows the key can search, offline, for an image whose
  noise is unlucky. A device that has no random bytes keeps a secret and a counter that survives restarts
  (:func:`query_key`).
- **The run key of a certificate is drawn after the classifier is final.** Computing noise again from a known key,
  replaying, is for afterwards.
- **The same integer noise in both.** Algorithm 2 of the IntRS paper lets PREDICT draw continuous noise; that would be
  another smoothed classifier than the certified one. ``noise_digest`` names the table that the device must draw from.
- **Selection and estimation never share noise, and n is fixed in advance.**

The reasons are in docs/theory/randomness.md and docs/theory/statistics.md.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from holdfast.certify.table import radius_table
from holdfast.digest import canonical_json
from holdfast.errors import FileError, ImpossibleRequest, ParameterError
from holdfast.noise import noise_law
from holdfast.records import ABSTAIN
from holdfast.rounding import decimal_text, exact_decimal
from holdfast.stats import check_alpha

__all__ = ["Counts", "DeviceTables", "covers", "query_key", "select"]

Counts = Sequence[int] | NDArray[np.integer[Any]]
"""How many samples received each label."""

_MAGIC = b"holdfast device tables 1\n"
_DIGEST_BYTES = 32
_FACTS = {"sigma": str, "alpha": str, "noise": str, "noise_digest": str, "n0": int, "n": int}
_LAWS = ("discrete", "rounded")
_LARGEST_STEP = 1 << 15
_LARGEST_DIMENSION = 1 << 24


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeviceTables:
    """All that CERTIFY and PREDICT need besides a network and its noise: integers, proved beforehand on a host.

    Attributes:
        sigma: scale of the noise in [0, 1] image units, a canonical decimal or fraction.
        alpha: failure probability of a certificate and of a prediction, a canonical decimal or fraction.
        noise: ``discrete`` or ``rounded``.
        noise_digest: hex SHA-256 of the noise table that the device must draw from.
        n0: samples that select the class of a certificate.
        n: samples that estimate its probability, and samples of a prediction.
        needed: uint32, length n + 1: of ``m`` samples in the two most frequent classes the first needs ``needed[m]`` to
            be named; ``m + 1`` where no vote is enough.
        radius_sq_px: int64, length n + 1: ``floor(R^2)`` in squared grey levels for each count of the selected class; -1
            to abstain.

    Raises:
        ParameterError: the arrays are no such tables.

    Reference: integer randomized smoothing (IntRS), Theorem 3.2, Algorithms 1 and 2; docs/theory/statistics.md.

    Example:
        >>> tables = DeviceTables.build(sigma="0.12", n0=100, n=1000, alpha="0.001")
        >>> tables.certify([99, 1, 0], [990, 8, 2]), tables.certify([40, 60, 0], [460, 540, 0])
        ((0, 3663), (1, -1))
        >>> tables.predict([553, 447, 0]), tables.predict([552, 448, 0])
        (0, -1)
        >>> covers(np.array([60, -7, 3], np.int16), 3663)  # 3600 + 49 + 9
        True
    """

    sigma: str
    alpha: str
    noise: str
    noise_digest: str
    n0: int
    n: int
    needed: NDArray[np.uint32]
    radius_sq_px: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.noise not in _LAWS:
            raise ParameterError(f"the noise must be one of {', '.join(_LAWS)}, not {self.noise!r:.100}")
        if not 1 <= self.n0 <= self.n:
            raise ParameterError(f"device tables need 1 <= n0 <= n, not n0={self.n0} and n={self.n}")
        for name, dtype in (("needed", np.uint32), ("radius_sq_px", np.int64)):
            table = getattr(self, name)
            if table.dtype != dtype or table.shape != (self.n + 1,):
                raise ParameterError(
                    f"{name} must be {np.dtype(dtype)} of length n + 1 = {self.n + 1}, not {table.dtype} of shape {table.shape}"
                )
            table.flags.writeable = False
        totals, needed = np.arange(self.n + 1), self.needed.astype(np.int64)
        if (2 * needed <= totals).any() or (needed > totals + 1).any() or (np.diff(needed) < 0).any():
            raise ParameterError("needed must not decrease, and lie above half of the total and at most one above it")
        radii = self.radius_sq_px
        if radii.min() < ABSTAIN or (np.diff(radii) < 0).any() or (radii[2 * totals <= self.n] != ABSTAIN).any():
            raise ParameterError("radius_sq_px must not decrease, start at -1 and stay there up to half of n")

    @classmethod
    def build(
        cls,
        sigma: str | Fraction,
        n0: int,
        n: int,
        alpha: str | Fraction,
        noise: str = "discrete",
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> DeviceTables:
        """Prove the tables, on a host: seconds for n = 1000, about a minute for n = 100 000 unless the radii are cached.

        Args:
            sigma: noise scale in [0, 1] image units, a decimal string or Fraction.
            n0: samples that select the class, at least 1.
            n: samples that estimate its probability, and samples of a prediction; at least n0.
            alpha: failure probability in (0, 1/2), a decimal string or Fraction.
            noise: ``discrete`` or ``rounded``.
            on_progress: called with (radii done, radii in all).

        Raises:
            ParameterError: a value out of range, or a noise without an exact guarantee.
            ImpossibleRequest: n too small for alpha; names the n needed.

        Guarantee:
            A radius is that of :func:`holdfast.certify.radius_table`, charge for the noise table included. A critical
            value is that of :func:`holdfast.stats.critical_count`, computed from exact integers.
        """
        level = check_alpha(exact_decimal(alpha, "alpha"))
        least = next(m for m in count(1) if level * 2**m >= 2)
        if n < least:
            raise ImpossibleRequest(
                f"n={n} is too small for alpha={float(level):g}: every prediction would abstain; n must be at least {least}"
            )
        radii = radius_table(sigma, n, level, noise, on_progress=on_progress)
        scale = exact_decimal(sigma, "sigma")
        return cls(
            sigma=decimal_text(scale),
            alpha=decimal_text(level),
            noise=noise,
            noise_digest=noise_law(noise, scale * 255).digest,
            n0=n0,
            n=n,
            needed=_critical_counts(n, level),
            radius_sq_px=radii,
        )

    def certify(self, selection_counts: Counts, counts: Counts) -> tuple[int, int]:
        """CERTIFY, from the counts of the selection and of the estimation samples: integers only.

        Args:
            selection_counts: class counts of the n0 selection samples.
            counts: class counts of the n estimation samples, whose noise is independent of the former.

        Returns:
            ``(label, radius_sq_px)``; the squared radius is -1 (abstained) when nothing could be certified.

        Raises:
            ParameterError: counts that are not integers, not of as many classes, or not of n0 and n samples.

        Guarantee:
            With probability at least 1 - alpha over the noise, if ``radius_sq_px >= 0``: the smoothed classifier answers
            ``label`` for every image at squared distance at most ``radius_sq_px`` in grey levels.

        Reference: Theorem A1 or I.1; docs/theory/statistics.md.
        """
        selected, estimated = _votes(selection_counts, self.n0), _votes(counts, self.n)
        if len(selected) != len(estimated):
            raise ParameterError(f"counts of {len(selected)} and of {len(estimated)} classes do not belong together")
        label = select(selected)
        return label, int(self.radius_sq_px[estimated[label]])

    def predict(self, counts: Counts) -> int:
        """PREDICT, from the counts of n samples drawn under a fresh secret key: integers only.

        Args:
            counts: class counts of the n samples.

        Returns:
            The most frequent class, or -1 (abstained) where the second may be as probable.

        Raises:
            ParameterError: counts that are not integers or not of n samples.

        Guarantee:
            Names another class than the smoothed classifier's with probability at most alpha
            (docs/theory/statistics.md, "PREDICT").
        """
        votes = _votes(counts, self.n)
        label = select(votes)
        second = max([0, *votes[:label], *votes[label + 1 :]])
        return label if votes[label] >= int(self.needed[votes[label] + second]) else ABSTAIN

    def to_bytes(self) -> bytes:
        """The tables as a file: a line of ASCII, a line of JSON, ``needed`` and ``radius_sq_px`` little-endian, SHA-256.

        Example:
            >>> tables = DeviceTables.build(sigma="0.12", n0=10, n=100, alpha="0.001")
            >>> DeviceTables.from_bytes(tables.to_bytes()).to_bytes() == tables.to_bytes()
            True
        """
        facts = {name: getattr(self, name) for name in _FACTS}
        arrays = self.needed.astype("<u4").tobytes() + self.radius_sq_px.astype("<i8").tobytes()
        body = _MAGIC + canonical_json(facts) + b"\n" + arrays
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, raw: bytes) -> DeviceTables:
        """Tables from the bytes of :meth:`to_bytes`.

        The digest in the file finds damage, not forgery: tables of somebody else are compared with tables built anew.

        Raises:
            FileError: the bytes are not such tables, or damaged.
        """
        body, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
        if not raw.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
            raise FileError("these are no device tables of version 1, or they are damaged; build them again")
        head, _, arrays = body[len(_MAGIC) :].partition(b"\n")
        try:
            facts = _facts(json.loads(head))
            length = facts["n"] + 1
            if len(arrays) != 12 * length:
                raise ParameterError(f"n is {facts['n']}, but the arrays have {len(arrays)} bytes")
            needed = np.frombuffer(arrays, "<u4", length).astype(np.uint32)
            radii = np.frombuffer(arrays, "<i8", length, 4 * length).astype(np.int64)
            return cls(**facts, needed=needed, radius_sq_px=radii)
        except (ValueError, RecursionError) as error:
            raise FileError(f"the device tables are not valid: {error}") from None


def _facts(head: Any) -> dict[str, Any]:
    if not isinstance(head, dict) or {name: type(value) for name, value in head.items()} != _FACTS:
        raise ParameterError(f"the header must hold {', '.join(_FACTS)}, and nothing else")
    return head


def _critical_counts(n: int, alpha: Fraction) -> NDArray[np.uint32]:
    """``holdfast.stats.critical_count(m, alpha)`` for ``m = 0 .. n``, all by exact integers, one step from each to the next.

    With ``a`` the value for ``m - 1``, the value for ``m`` is ``a`` or ``a + 1`` (docs/theory/statistics.md, facts (i) and
    (ii)), and ``outcomes = sum_{i >= a} C(m, i)`` follows from Pascal's rule.
    """
    found = np.empty(n + 1, dtype=np.uint32)
    found[0] = needed = edge = 1  # edge = C(m, needed - 1)
    outcomes = 0
    for m in range(1, n + 1):
        outcomes = 2 * outcomes + edge
        if 2 * outcomes * alpha.denominator <= alpha.numerator << m:
            edge = edge * m // (m - needed + 1)
        else:
            edge = edge * m // needed
            outcomes -= edge
            needed += 1
        found[m] = needed
    return found


def select(counts: Counts) -> int:
    """The most frequent class, the lowest index on ties.

    Args:
        counts: class counts, at least one.

    Example:
        >>> select([3, 41, 41, 15])
        1
    """
    votes = _integers(counts)
    return votes.index(max(votes))


def covers(delta: NDArray[np.signedinteger[Any]], radius_sq_px: int) -> bool:
    """Whether a certificate speaks of an image that differs by ``delta``: ``|delta|^2 <= radius_sq_px``, in int64.

    Args:
        delta: signed integers, any shape, grey levels in (-2^15, 2^15), at most 2^24 of them. (The difference of two
            uint8 arrays is refused: it has wrapped around. Subtract them as int16.)
        radius_sq_px: of the certificate; -1 covers nothing, not even the image itself.

    Raises:
        ParameterError: no signed integers, or too large or too many for an exact sum.

    Example:
        >>> covers(np.array([[3, -4]], np.int16), 25), covers(np.array([[3, -4]], np.int16), 24)
        (True, False)
    """
    if not isinstance(delta, np.ndarray) or delta.dtype.kind != "i":
        kind = f"dtype {delta.dtype}" if isinstance(delta, np.ndarray) else type(delta).__name__
        raise ParameterError(f"delta must be an array of signed integers such as int16, not {kind}")
    wide = delta.astype(np.int64).reshape(-1)
    if wide.size > _LARGEST_DIMENSION or ((wide <= -_LARGEST_STEP) | (wide >= _LARGEST_STEP)).any():
        raise ParameterError("delta must have at most 2^24 numbers, each between -2^15 and 2^15")
    return int((wide * wide).sum()) <= operator.index(radius_sq_px)


def query_key(secret: bytes, number: int) -> bytes:
    """The key of a PREDICT query on a device without random bytes: SHA-256 of its secret and the number of the query.

    Args:
        secret: 32 bytes, drawn when the device was set up, never shown, of this device alone.
        number: in [0, 2^64): a counter that is raised and stored *before* it is used, and never repeats.

    Returns:
        32 bytes, for :class:`holdfast.records.Address` with purpose ``predict``.

    Raises:
        ParameterError: a secret of another length, or a number out of range.

    Guarantee:
        That of a fresh key, as long as the secret is secret, no number is used twice, and SHA-256 behaves as a
        pseudorandom function (docs/theory/randomness.md).

    Example:
        >>> query_key(bytes(32), 0) == query_key(bytes(32), 1)
        False
    """
    if len(secret) != 32 or not 0 <= number < 1 << 64:
        raise ParameterError(
            f"a query needs a secret of 32 bytes and a number in [0, 2^64), not {len(secret)} bytes and {number}"
        )
    return hashlib.sha256(b"holdfast query key\0" + secret + number.to_bytes(8, "little")).digest()


def _integers(counts: Counts) -> list[int]:
    """Counts as integers of any size; floats are refused, never cast."""
    try:
        votes = [operator.index(number) for number in counts]
    except TypeError:
        raise ParameterError("counts must be integers, one for each class") from None
    if not votes or min(votes) < 0:
        raise ParameterError("counts must be at least 0, one for each class")
    return votes


def _votes(counts: Counts, samples: int) -> list[int]:
    votes = _integers(counts)
    if sum(votes) != samples:
        raise ParameterError(
            f"the counts are of {sum(votes)} samples, not of {samples}: the number is fixed in advance"
        )
    return votes
