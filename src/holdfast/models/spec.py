"""What is needed to build a network again: a small value that fits in a file's header."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import ParameterError
from holdfast.records import Preprocessing

__all__ = ["ModelSpec"]

_LARGEST_SIDE = 65536


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network's architecture, and how pixels become its input.

    Attributes:
        name: a name of :func:`holdfast.models.model_names`.
        num_classes: number of logits, at least 2.
        shape: (C, H, W) of an image.
        preprocessing: the map from pixels to the network's input; one mean and std per channel.
        options: what the family takes beyond this, JSON values by name; what is left out has the family's default.

    Raises:
        ParameterError: a field is out of its range.

    Example:
        >>> spec = ModelSpec("mlp", 10, (1, 8, 8), Preprocessing((0.5,), (0.5,)), {"widths": [64]})
        >>> ModelSpec.from_json(spec.to_json()) == spec
        True
    """

    name: str
    num_classes: int
    shape: tuple[int, int, int]
    preprocessing: Preprocessing
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (_positive(self.num_classes) and 2 <= self.num_classes <= 65535):
            raise ParameterError(f"num_classes must be an integer from 2 to 65535, not {self.num_classes!r}")
        if len(self.shape) != 3 or not all(_positive(s) and s <= _LARGEST_SIDE for s in self.shape):
            raise ParameterError(
                f"shape must be three integers (C, H, W) from 1 to {_LARGEST_SIDE}, not {self.shape!r}"
            )
        if len(self.preprocessing.mean) != self.shape[0]:
            raise ParameterError(
                f"the preprocessing has {len(self.preprocessing.mean)} channels but the images have {self.shape[0]}"
            )

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values; :meth:`from_json` gives it back."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "shape": list(self.shape),
            "mean": list(self.preprocessing.mean),
            "std": list(self.preprocessing.std),
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, value: Any) -> ModelSpec:
        """Read what :meth:`to_json` wrote, trusting nothing.

        Raises:
            ParameterError: a field is missing or has the wrong type.
        """
        if not isinstance(value, dict):
            raise ParameterError(f"a model spec must be an object, not {type(value).__name__}")
        missing = [key for key in ("name", "num_classes", "shape", "mean", "std", "options") if key not in value]
        if missing:
            raise ParameterError(f"the model spec has no field {missing[0]!r}")
        if not isinstance(value["name"], str) or not isinstance(value["options"], dict):
            raise ParameterError("the model spec's name must be a text and its options an object")
        for key in ("shape", "mean", "std"):
            if not isinstance(value[key], list) or not all(_number(v) for v in value[key]):
                raise ParameterError(f"the model spec's {key} must be a list of numbers, not {value[key]!r}")
        shape = tuple(value["shape"])
        if len(shape) != 3:
            raise ParameterError(f"the model spec's shape must have three numbers, not {len(shape)}")
        try:
            mean, std = (tuple(float(v) for v in value[key]) for key in ("mean", "std"))
        except OverflowError:
            raise ParameterError("the model spec's mean or std is too large") from None
        return cls(value["name"], value["num_classes"], shape, Preprocessing(mean, std), dict(value["options"]))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
