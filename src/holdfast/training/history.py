"""What happened in each epoch, and its CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from holdfast.atomic import write_atomic
from holdfast.errors import ParameterError

__all__ = ["EpochRecord", "write_csv"]

_OPTIONAL = ("clean_accuracy", "noisy_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: counted from 1.
        seconds: of the training steps.
        lr: learning rate of the first step.
        train_loss: mean over the steps.
        train_accuracy: share of the noisy training images labelled correctly during the epoch.
        clean_accuracy: share of the validation images labelled correctly without noise; None without validation.
        noisy_accuracy: the same with one draw of noise per image.
        images_per_second: training images per second.
    """

    epoch: int
    seconds: float
    lr: float
    train_loss: float
    train_accuracy: float
    clean_accuracy: float | None
    noisy_accuracy: float | None
    images_per_second: float

    def to_json(self) -> dict[str, Any]:
        """Every field by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> EpochRecord:
        """Read what :meth:`to_json` wrote, trusting nothing.

        Raises:
            ParameterError: a field is missing, unknown or no finite number.
        """
        names = [f.name for f in fields(cls)]
        if not isinstance(value, dict) or sorted(value) != sorted(names):
            raise ParameterError("an epoch's record has missing or unknown fields")
        for name in names:
            if not (_number(value[name]) or (value[name] is None and name in _OPTIONAL)):
                raise ParameterError(f"an epoch's {name} is {value[name]!r}")
        return cls(**value)


def write_csv(path: Path, history: Sequence[EpochRecord]) -> None:
    """Write the whole history, one line per epoch, in place of what was there."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(EpochRecord)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shown(value) for name, value in record.to_json().items()} for record in history)
    write_atomic(path, text.getvalue().encode("ascii"))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"
