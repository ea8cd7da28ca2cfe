"""Small files in the publishers' formats, written here, and the way to the genuine ones."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ARRAY_HEAD = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01"
ARRAY_TYPE = (
    b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
)


def images(count: int, shape: tuple[int, ...], seed: int = 1) -> NDArray[np.uint8]:
    """Random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def idx(array: NDArray[np.uint8]) -> bytes:
    """An idx file of bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


def _int(value: int) -> bytes:
    return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)


def _list(items: list[bytes]) -> bytes:
    return b"](" + b"".join(items) + b"e" if items else b"]"


def pickled_array(pixels: NDArray[np.uint8]) -> bytes:
    """A uint8 array as Python 2 pickled it (protocol 2)."""
    shape = b"".join(_int(n) for n in pixels.shape) + (b"\x85" if pixels.ndim == 1 else b"\x86")
    return ARRAY_HEAD + shape + ARRAY_TYPE + struct.pack("<I", pixels.size) + pixels.tobytes() + b"tb"


def cifar_batch(pixels: NDArray[np.uint8], **lists: list[int]) -> bytes:
    """A CIFAR batch of the Python version; ``lists`` are ``labels``, or ``fine_labels`` and ``coarse_labels``."""
    out = [b"\x80\x02}q\x01(", _text(b"batch_label"), b"q\x02", _text(b"testing batch 1 of 1"), b"q\x03"]
    for key, values in lists.items():
        out += [_text(key.encode()), b"q\x04", _list([_int(v) for v in values])]
    names = [_text(b"picture_%06d.png" % k) + b"r" + struct.pack("<I", 300 + k) for k in range(len(pixels))]
    out += [_text(b"data"), b"q\x06", pickled_array(pixels.reshape(len(pixels), -1))]
    out += [_text(b"filenames"), b"q\x0c", _list(names), b"u."]
    return b"".join(out)


def write(path: Path, content: bytes) -> Path:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_mnist(folder: Path, count: int = 5, *, zipped: bool = False) -> None:
    """Both splits in the names of MNIST and Fashion-MNIST."""
    pack: Callable[[bytes], bytes] = gzip.compress if zipped else bytes
    suffix = ".gz" if zipped else ""
    for seed, split in enumerate(("train", "t10k")):
        write(folder / f"{split}-images-idx3-ubyte{suffix}", pack(idx(images(count, (28, 28), seed))))
        write(folder / f"{split}-labels-idx1-ubyte{suffix}", pack(idx(np.arange(count, dtype=np.uint8) % 10)))


def write_picture(path: Path, size: tuple[int, int], mode: str = "RGB", seed: int = 1, **options: Any) -> None:
    """An image file of random blocks, (width, height)."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images(6, (6, 3), seed)).convert(mode).resize(size).save(path, **options)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Short names for cases that are files."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def formats() -> SimpleNamespace:
    """The writers above, by name."""
    return SimpleNamespace(
        images=images,
        idx=idx,
        pickled_array=pickled_array,
        cifar_batch=cifar_batch,
        write=write,
        write_mnist=write_mnist,
        write_picture=write_picture,
    )


@pytest.fixture(autouse=True)
def own_data_dirs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's data directories, except those that ask for the genuine files."""
    if "genuine" not in request.fixturenames:
        monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def genuine() -> Callable[[str], Path]:
    """Path of a genuine file below ``HOLDFAST_DATA``; skips, saying why, where it is not there."""

    def path(name: str) -> Path:
        root = os.environ.get("HOLDFAST_DATA")
        if not root:
            pytest.skip("shared data: HOLDFAST_DATA is not set, so there are no genuine files to read")
        if not (Path(root) / name).exists():
            pytest.skip(f"shared data: {root} has no {name}")
        return Path(root) / name

    return path
