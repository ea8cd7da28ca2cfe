"""Decimals read exactly, radii shown rounded down.

Radii are integers (squared grey levels), so showing one is integer arithmetic too: nothing here rounds up.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from holdfast.errors import ParameterError

__all__ = [
    "certified_at",
    "cut_text",
    "decimal_text",
    "exact_decimal",
    "radius_down",
    "radius_text",
    "share_text",
    "squared_px_down",
    "truncated_text",
]

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_LONGEST = 100
"""Characters of the longest decimal that is read: nothing meant is longer, and huge numbers fit no float."""
_GREY_LEVELS = 255


def exact_decimal(value: str | int | Fraction, name: str) -> Fraction:
    """A user's decimal as an exact fraction. Floats are refused: ``0.1`` as a float is not one tenth.

    Args:
        value: a decimal string such as ``"0.25"``, an int or a Fraction.
        name: what the value is called, for the error message.

    Raises:
        ParameterError: the value is a float or no number.

    Example:
        >>> exact_decimal("0.25", "sigma")
        Fraction(1, 4)
    """
    if isinstance(value, Fraction | int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, float):
        raise ParameterError(f'{name} must be a decimal string such as "{value!r}", not a float: {value!r} is inexact')
    if not isinstance(value, str) or len(value) > _LONGEST or not _DECIMAL.fullmatch(value.strip()):
        raise ParameterError(f"{name} must be a decimal number such as 0.25, not {value!r:.{_LONGEST}}")
    return Fraction(value.strip())


def decimal_text(value: Fraction) -> str:
    """The one text of an exact number: a plain decimal where it is one, else ``p/q``. ``Fraction(text)`` gives it back.

    Example:
        >>> decimal_text(Fraction("0.250")), decimal_text(Fraction(1, 3)), decimal_text(Fraction(100))
        ('0.25', '1/3', '100')
    """
    digits = 0
    while (value * 10**digits).denominator != 1 and digits < 40:
        digits += 1
    if (value * 10**digits).denominator != 1:
        return str(value)
    sign = "-" if value < 0 else ""
    return sign + truncated_text(abs(value), digits)


def squared_px_down(radius: Fraction) -> int:
    """``floor((255 r)^2)``: the largest squared integer perturbation of length at most ``r`` in [0, 1] image units."""
    return int((radius * _GREY_LEVELS) ** 2)


def certified_at(radius_sq_px: int, radius: Fraction) -> bool:
    """Whether a certificate covers every integer perturbation of length at most ``radius`` (image units, exact).

    An abstention (-1) is certified nowhere, not even at radius 0.

    Example:
        >>> certified_at(13602, Fraction("0.457")), certified_at(13602, Fraction("0.458")), certified_at(-1, Fraction(0))
        (True, False, False)
    """
    return radius_sq_px >= squared_px_down(radius)


def truncated_text(value: Fraction, digits: int) -> str:
    """A non-negative number with ``digits`` decimals, truncated towards zero.

    Example:
        >>> truncated_text(Fraction(2, 3), 3)
        '0.666'
    """
    scaled = int(value * 10**digits)
    whole, part = divmod(scaled, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)


def radius_text(radius_sq_px: int, digits: int = 4) -> str:
    """``sqrt(radius_sq_px) / 255`` in [0, 1] image units, truncated; ``abstain`` for -1.

    Example:
        >>> radius_text(13602), radius_text(-1)
        ('0.4573', 'abstain')
    """
    if radius_sq_px < 0:
        return "abstain"
    scaled = math.isqrt(radius_sq_px * 10 ** (2 * digits) // _GREY_LEVELS**2)
    return truncated_text(Fraction(scaled, 10**digits), digits)


def radius_down(radius_sq_px: int) -> float:
    """The radius in [0, 1] image units as a float that is never too large; 0.0 for an abstention.

    Example:
        >>> radius_down(13602) ** 2 * 255**2 <= 13602
        True
    """
    if radius_sq_px <= 0:
        return 0.0
    value = math.sqrt(radius_sq_px) / _GREY_LEVELS
    while (Fraction(value) * _GREY_LEVELS) ** 2 > radius_sq_px:
        value = math.nextafter(value, 0.0)
    return value


def cut_text(value: float, digits: int = 4) -> str:
    """A number for showing, cut after ``digits`` decimals: never larger than it is.

    Example:
        >>> cut_text(0.99996), cut_text(0.4)
        ('0.9999', '0.4000')
    """
    return truncated_text(Fraction(value), digits)


def share_text(share: float, total: int, digits: int = 4) -> str:
    """A share of ``total``, given as the double nearest to it: cut after ``digits`` decimals of the exact fraction.

    Example:
        >>> share_text(2 / 3, 3), share_text(0.7, 10)
        ('0.6666', '0.7000')
    """
    return truncated_text(Fraction(share).limit_denominator(max(total, 1)), digits)
