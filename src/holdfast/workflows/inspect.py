"""``holdfast inspect``: what is in a checkpoint, without running anything."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from holdfast.models import checkpoint, tensorfile

__all__ = ["inspect_checkpoint"]


def inspect_checkpoint(path: Path) -> dict[str, Any]:
    """The header, the tensors and the file's hash, as JSON values.

    Raises:
        ModelFileError: it is no checkpoint.
    """
    spec, metadata = checkpoint.read_header(path)
    _, tensors = tensorfile.read(path, checkpoint.FORMAT, checkpoint.VERSION)
    listed = [
        {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
        for name, tensor in sorted(tensors.items())
    ]
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "network": spec.to_json(),
        "metadata": metadata,
        "tensors": listed,
        "numbers": sum(tensor.numel() for tensor in tensors.values()),
    }
