"""The radius table: ``count -> floor(R^2)``, all that a device needs to certify with integers.

Tables are computed once and kept in a cache folder (``HOLDFAST_CACHE``, else the user's cache directory): the one
place in this room that touches files. A file whose digest does not match is computed again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.certify.radius import certified_count
from holdfast.digest import json_digest
from holdfast.errors import ParameterError
from holdfast.noise import noise_charge, noise_law
from holdfast.records import ABSTAIN
from holdfast.rounding import decimal_text, exact_decimal
from holdfast.stats import check_alpha

__all__ = ["radius_table"]

_VERSION = 1


def radius_table(
    sigma: str | Fraction,
    n: int,
    alpha: str | Fraction,
    noise: str = "discrete",
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.int64]:
    """Certified squared radius for every possible count of the selected class.

    Args:
        sigma: noise scale in [0, 1] image units, a decimal string or Fraction.
        n: estimation samples.
        alpha: failure probability, a decimal string or Fraction in (0, 1/2).
        noise: ``discrete`` or ``rounded``.
        on_progress: called with (entries done, entries in all).

    Returns:
        int64 array of length n + 1, read-only: ``table[count]`` is ``floor(R^2)`` in squared grey levels, -1 to abstain.
        It is nondecreasing.

    Raises:
        ParameterError: a value out of range, or a noise without an exact guarantee.

    Guarantee:
        Entry by entry that of :func:`holdfast.certify.radius.largest_radius_sq`, with the charge for the noise table.

    Example:
        >>> table = radius_table(sigma="0.12", n=1000, alpha="0.001")
        >>> [int(table[k]) for k in (549, 550, 600, 900, 1000)]
        [-1, 0, 15, 1163, 5681]
    """
    sigma_px = exact_decimal(sigma, "sigma") * 255
    level = check_alpha(exact_decimal(alpha, "alpha"))
    if noise == "continuous":
        raise ParameterError("continuous noise has no exact radius table; use discrete or rounded")
    if not 1 <= n <= 10_000_000:
        raise ParameterError(f"n must lie between 1 and ten million, not {n}")
    law = noise_law(noise, sigma_px)
    key = json_digest([_VERSION, noise, law.digest, decimal_text(sigma_px), n, decimal_text(level)]).hex()
    path = _cache_folder() / f"{key}.npy"
    table = _read(path, n)
    if table is None:
        table = _compute(n, level, sigma_px, noise_charge(law.total_variation), on_progress)
        _write(path, table)
    table.flags.writeable = False
    return table


def _compute(
    n: int, alpha: Fraction, sigma_px: Fraction, charge: Fraction, on_progress: Callable[[int, int], None] | None
) -> NDArray[np.int64]:
    """From the top down to the first abstention (count 0 at the latest): below it every entry abstains, since the bound is
    monotone.
    """
    table, count = np.full(n + 1, ABSTAIN, dtype=np.int64), n
    while (radius_sq := certified_count(count, n, alpha, sigma_px, charge)[1]) != ABSTAIN:
        table[count] = radius_sq
        if on_progress is not None and count % 500 == 0:
            on_progress(n - count, n // 2)
        count -= 1
    return table


def _cache_folder() -> Path:
    base = os.environ.get("HOLDFAST_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast" / "radius-tables"


def _read(path: Path, n: int) -> NDArray[np.int64] | None:
    """The cached table, or None when it is absent or not exactly what was written."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    body, digest = raw[:-32], raw[-32:]
    if len(body) != 8 * (n + 1) or hashlib.sha256(body).digest() != digest:
        return None
    return np.frombuffer(body, dtype="<i8").astype(np.int64)


def _write(path: Path, table: NDArray[np.int64]) -> None:
    """Best effort: a read-only cache folder costs time, not correctness."""
    body = table.astype("<i8").tobytes()
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(body + hashlib.sha256(body).digest())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
