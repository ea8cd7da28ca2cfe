"""``holdfast env``: the facts that matter when something differs between two machines."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from holdfast import __version__
from holdfast.noise import native

__all__ = ["facts"]

_PACKAGES = ("torch", "numpy", "scipy", "python-flint", "safetensors", "matplotlib", "pillow", "pooch")


def facts() -> dict[str, str]:
    """Versions, processor and native parts, as short texts by name."""
    import torch

    found = {
        "holdfast": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "torch threads": str(torch.get_num_threads()),
        "torch cpu": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "noise sampler": "native" if native.available() else "NumPy (install with a C++ compiler for the native one)",
    }
    return found | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
