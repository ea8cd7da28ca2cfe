"""The known answers of tests/vectors as networks and arrays, and networks as the plain implementation takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast import intnet
from holdfast.intnet import IntegerNetwork, Op, Requantise, Residual

FOLDER = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True, eq=False)
class KnownAnswer:
    """One case of ``layers.json`` or ``networks.json``."""

    name: str
    network: IntegerNetwork
    images: NDArray[Any]
    logits: NDArray[np.int32]
    digest: str
    labels: list[int] | None


def known_answers(file: str) -> list[KnownAnswer]:
    """The cases of ``layers`` or ``networks``."""
    return [
        KnownAnswer(
            case["name"],
            IntegerNetwork([operation(op) for op in case["operations"]]),
            array(case["images"]),
            np.array(case["logits"], np.int32),
            case["digest"],
            case.get("labels"),
        )
        for case in json.loads((FOLDER / f"{file}.json").read_text())
    ]


def array(given: dict[str, Any]) -> NDArray[Any]:
    """An array from its values or its rule [a, b, m, c]: element i is ``(a * i + b) % m + c``."""
    if "rule" in given:
        a, b, m, c = given["rule"]
        numbers = (a * np.arange(np.prod(given["shape"])) + b) % m + c
    else:
        numbers = np.array(given["values"], np.int64)
    return numbers.astype(given["dtype"]).reshape(given["shape"])


def operation(given: dict[str, Any]) -> Op:
    """An operation from its description."""
    op: Op = getattr(intnet, given["kind"])(**{name: _field(name, v) for name, v in given.items() if name != "kind"})
    return op


def _field(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        if "dtype" in value:
            return array(value)
        content = {inner: _field(inner, v) for inner, v in value.items()}
        return Requantise(**content) if name == "requantise" else Residual(**content)
    return tuple(value) if isinstance(value, list) else value


def described(network: IntegerNetwork) -> list[dict[str, Any]]:
    """The operations of a network as the plain implementation takes them."""
    return [{"kind": type(op).__name__, **_described(op)} for op in network.operations]


def described_array(value: NDArray[Any]) -> dict[str, Any]:
    """An array as the plain implementation takes it."""
    return {"dtype": value.dtype.name, "shape": list(value.shape), "values": value.ravel().tolist()}


def _described(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return described_array(value)
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, int | str):
        return value
    return {field.name: _described(getattr(value, field.name)) for field in fields(value)}
