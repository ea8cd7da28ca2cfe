"""Safetensors files with a JSON header, written in one piece and read as if hostile. Nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from holdfast.atomic import write_atomic
from holdfast.digest import canonical_json
from holdfast.errors import ModelFileError

__all__ = ["read", "read_header", "write"]

_KEY = "holdfast"
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def write(path: Path, kind: str, version: int, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and a JSON header; a reader sees the old file or the whole new one, also after a power failure.

    Args:
        path: where to.
        kind: names the format, for example ``holdfast-checkpoint``.
        version: of the format.
        header: JSON values.
        tensors: tensors by name, on any device and in any memory layout.
    """
    text = canonical_json({**header, "format": kind, "version": version}).decode("ascii")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, to_bytes(plain, {_KEY: text}))


def read_header(path: Path, kind: str, newest: int) -> dict[str, Any]:
    """The JSON header of a file of this kind.

    Raises:
        ModelFileError: the file is missing, damaged, of another kind, or newer than version ``newest``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return _header(path, metadata, kind, newest)


def read(path: Path, kind: str, newest: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file of this kind.

    Raises:
        ModelFileError: as :func:`read_header`.
    """
    header = read_header(path, kind, newest)
    try:
        with safe_open(path, framework="pt") as file:
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged: {error}; get a fresh copy") from None


def _unreadable(path: Path, problem: Exception) -> ModelFileError:
    """What is wrong with a file that is no safetensors file. (A good one may begin with the same bytes as a pickle.)"""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        return ModelFileError(f"cannot read {path}: {error.strerror or error}")
    if head.startswith(_PICKLES):
        return ModelFileError(
            f"{path} is a pickle (a torch .pt file), no holdfast checkpoint, and is not opened: unpickling runs code; "
            "give it as the weights of a network of your own, where only tensors are read"
        )
    if len(head) < 8:
        return ModelFileError(f"{path} is cut short: {len(head)} bytes; get a fresh copy")
    return ModelFileError(f"{path} is damaged or no safetensors file: {problem}; get a fresh copy")


def _header(path: Path, metadata: Mapping[str, str], kind: str, newest: int) -> dict[str, Any]:
    if _KEY not in metadata:
        raise ModelFileError(
            f"{path} was not written by holdfast: its header has no {_KEY!r} entry; "
            "plain weights can be given as the weights of a network of your own"
        )
    try:
        header = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the header of {path} is no JSON: {error}; get a fresh copy") from None
    if not isinstance(header, dict) or header.get("format") != kind:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise ModelFileError(f"{path} is a {found!r} file, but a {kind!r} file is needed here")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"{path} has version {version!r}, which no holdfast writes; get a fresh copy")
    if version > newest:
        raise ModelFileError(
            f"{path} was written by a newer holdfast ({kind} version {version}; this one reads up to {newest}); "
            "update holdfast"
        )
    return header
