"""``holdfast inspect``: what is in a network's file, without running anything."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holdfast import intnet
from holdfast.intnet import LAW_VERSION, IntegerNetwork, layer_table, require_integers

__all__ = ["inspect_checkpoint", "inspect_integer"]


def inspect_checkpoint(path: Path) -> dict[str, Any]:
    """The header, the tensors and the file's hash, as JSON values.

    Raises:
        ModelFileError: it is no checkpoint.
    """
    from holdfast.models import checkpoint, tensorfile

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


def inspect_integer(path: Path) -> tuple[IntegerNetwork, dict[str, Any]]:
    """An integer network, and its facts as JSON values: its table, its hashes, and the check that all is integer.

    Raises:
        ModelFileError: it is no valid ``.hfi`` file.
        NetworkError: something in it is no integer.
    """
    network = intnet.load(path)
    operations, arrays = require_integers(network)
    facts = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "digest": network.digest,
        "law": LAW_VERSION,
        "shape": list(network.shape),
        "num_classes": network.num_classes,
        "weights": network.weights,
        "macs": network.macs,
        "integers_checked": {"operations": operations, "arrays": arrays},
        "operations": [asdict(row) for row in layer_table(network)],
        "metadata": network.metadata,
    }
    return network, facts
