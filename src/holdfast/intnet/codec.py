"""Integer networks in ``.hfi`` files: safetensors whose metadata hold the operations as JSON. Read as if hostile.

The metadata entry ``holdfast`` is canonical JSON: ``format``, ``version``, ``law``, ``digest``, ``metadata`` and
``operations``. An operation is its kind and its fields; an array is the name of its tensor,
``"<position>.<field>"``. The table is in docs/theory/integer-network.md.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from holdfast.atomic import write_atomic
from holdfast.digest import canonical_json
from holdfast.errors import ModelFileError, NetworkError, ParameterError
from holdfast.intnet.container import Damaged, pack, parse_json, shown, unpack
from holdfast.intnet.fixedpoint import LAW_VERSION, Requantise
from holdfast.intnet.network import IntegerNetwork
from holdfast.intnet.ops import Op, Residual

__all__ = ["FORMAT", "VERSION", "from_bytes", "load", "save", "to_bytes"]

FORMAT = "holdfast-integer-network"
VERSION = 1
_KEY = "holdfast"
_CHECKPOINT = "holdfast-checkpoint"
_HEADER = ("digest", "format", "law", "metadata", "operations", "version")
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Op)}
_HINTS = {kind: get_type_hints(kind) for kind in (*get_args(Op), Requantise, Residual)}
"""The fields of every part of an operation, and their types."""
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LARGEST_NUMBER = (1 << 31) - 1
"""No number of an operation is larger."""

_Tensors = dict[str, NDArray[Any]]


def save(network: IntegerNetwork, path: Path | str) -> None:
    """Write an ``.hfi`` file, in one piece.

    Raises:
        ParameterError: the metadata are no JSON values.

    Guarantee:
        Equal networks with equal metadata give equal bytes, on every machine.
    """
    write_atomic(Path(path), to_bytes(network))


def load(path: Path | str) -> IntegerNetwork:
    """Read an ``.hfi`` file.

    Returns:
        a network that obeys the law: its ranges are proved again, and its digest is that of the file.

    Raises:
        ModelFileError: the file is missing, damaged, of another kind, written by a newer holdfast or under another
            law, or describes a network that breaks the law.

    Guarantee:
        Memory is taken in proportion to the file.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelFileError(f"cannot read {path}: it is no regular file")
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from None
    return from_bytes(data, str(path))


def to_bytes(network: IntegerNetwork) -> bytes:
    """The bytes of an ``.hfi`` file.

    Raises:
        ParameterError: as :func:`save`.

    Example:
        >>> from holdfast.intnet import Flatten, Input, Requantise
        >>> law = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
        >>> network = IntegerNetwork([Input("in", (1, 1, 2), np.array([128], np.int32), law), Flatten("flat", 0)])
        >>> from_bytes(to_bytes(network), "a copy").digest == network.digest
        True
    """
    tensors: _Tensors = {}
    operations = [
        {"kind": type(op).__name__, **_encoded(op, str(position), tensors)}
        for position, op in enumerate(network.operations)
    ]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "law": LAW_VERSION,
        "digest": network.digest,
        "operations": operations,
        "metadata": network.metadata,
    }
    try:
        text = canonical_json(header).decode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(f"the metadata of a network must be JSON values: {error}") from None
    return pack(tensors, {_KEY: text})


def from_bytes(data: bytes, source: str) -> IntegerNetwork:
    """The network in the bytes of an ``.hfi`` file.

    Args:
        data: what the file holds.
        source: where it comes from, for messages.

    Raises:
        ModelFileError: as :func:`load`.
    """
    try:
        container = unpack(data)
        header = _header(container.texts, source)
        operations = _operations(header["operations"], container.tensors())
        network = IntegerNetwork(operations, _metadata(header["metadata"]))
        if network.digest != header["digest"]:
            raise Damaged(f"its content has digest {network.digest}, its header says {shown(header['digest'])}")
    except Damaged as problem:
        if data.startswith(_PICKLES) and int.from_bytes(data[:8], "little") > len(data):
            raise ModelFileError(f"{source} is a pickle (a torch .pt file) and is not opened: {_needed()}") from None
        raise ModelFileError(f"{source} is damaged or no .hfi file: {problem}; get a fresh copy") from None
    except NetworkError as problem:
        raise ModelFileError(f"{source} describes no network that obeys the law: {problem}; get a fresh copy") from None
    return network


def _needed() -> str:
    return "an integer network (an .hfi file) is needed here"


def _encoded(value: Any, place: str, tensors: _Tensors) -> Any:
    """A value as JSON; its arrays go to ``tensors`` under their places."""
    if is_dataclass(value):
        return {f.name: _encoded(getattr(value, f.name), f"{place}.{f.name}", tensors) for f in fields(value)}
    if isinstance(value, np.ndarray):
        tensors[place] = value
        return place
    return list(value) if isinstance(value, tuple) else value


def _header(texts: dict[str, str], source: str) -> dict[str, Any]:
    if _KEY not in texts:
        raise ModelFileError(f"{source} was not written by holdfast (its metadata have no {_KEY!r}): {_needed()}")
    header = parse_json(texts[_KEY].encode("utf-8", "surrogatepass"), "its description")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        hint = "; holdfast.models.checkpoint.load opens a float network" if found == _CHECKPOINT else ""
        raise ModelFileError(f"{source} is a {shown(found)} file: {_needed()}{hint}")
    for name, newest in (("version", VERSION), ("law", LAW_VERSION)):
        number = header.get(name)
        if type(number) is not int or number < 1:
            raise Damaged(f"its {name} is {shown(number)}")
        if number > newest:
            raise ModelFileError(
                f"{source} was written by a newer holdfast ({name} {shown(number)}; this one knows up to {newest}): "
                "update holdfast"
            )
    _require_keys(header, _HEADER, "its description")
    return header


def _metadata(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Damaged(f"its metadata are {shown(value)}")
    return value


def _operations(found: Any, tensors: _Tensors) -> list[Op]:
    if not isinstance(found, list):
        raise Damaged(f"its operations are {shown(found)}")
    operations: list[Op] = []
    for position, value in enumerate(found):
        if not isinstance(value, dict):
            raise Damaged(f"operation {position} is {shown(value)}")
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise Damaged(f"operation {position} is of kind {shown(kind)}, which this holdfast does not know")
        content = {name: field for name, field in value.items() if name != "kind"}
        operations.append(_built(_KINDS[kind], content, str(position), tensors))
    if tensors:
        raise Damaged(f"tensor {shown(min(tensors))} belongs to no operation")
    return operations


def _built(kind: type[Any], content: Any, place: str, tensors: _Tensors) -> Any:
    hints = _HINTS[kind]
    _require_keys(content, hints, f"{kind.__name__} at {place}")
    return kind(**{name: _decoded(hints[name], content[name], f"{place}.{name}", tensors) for name in hints})


def _decoded(hint: Any, value: Any, place: str, tensors: _Tensors) -> Any:
    """A field of an operation, of the type that its class declares."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return None if value is None else _decoded(arguments[0], value, place, tensors)
    if origin is np.ndarray:
        if value != place or place not in tensors:
            raise Damaged(f"{place} names the tensor {shown(value)}, which is not the file's own {place!r}")
        return tensors.pop(place)
    if origin is tuple:
        length = None if arguments[-1] is Ellipsis else len(arguments)
        if not isinstance(value, list) or length not in (None, len(value)):
            raise Damaged(f"{place} is {shown(value)}, not {length or 'some'} whole numbers")
        return tuple(_integer(number, place) for number in value)
    if hint in (Requantise, Residual):
        return _built(hint, value, place, tensors)
    if hint is int:
        return _integer(value, place)
    assert hint is str
    if not isinstance(value, str):
        raise Damaged(f"{place} is {shown(value)}, not a text")
    return value


def _integer(value: Any, place: str) -> int:
    if type(value) is not int or abs(value) > _LARGEST_NUMBER:
        raise Damaged(f"{place} holds {shown(value)}, not a whole number of 32 bits")
    return value


def _require_keys(value: Any, names: Sequence[str] | dict[str, Any], what: str) -> None:
    if not isinstance(value, dict):
        raise Damaged(f"{what} is {shown(value)}")
    for name in sorted(set(names) ^ value.keys()):
        raise Damaged(f"{what} {'lacks' if name in names else 'has an unknown field'} {shown(name)}")
