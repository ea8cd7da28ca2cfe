"""Damaged files are refused with DataFileError or read as something valid; nothing else ever happens."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from holdfast.data import DataSet, load
from holdfast.data.inert_pickle import read_inert_pickle
from holdfast.errors import DataFileError

PIXELS = np.random.default_rng(7).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
LABELS = np.array([3, 1], np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def cifar_python() -> bytes:
    return (
        b"\x80\x02}q\x01(U\x06labelsq\x04]q\x05(K\x03K\x01eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07"
        b"cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", PIXELS.size)
    ) + (PIXELS.tobytes() + b"tbU\x09filenamesq\x0c](U\x01ah\x04eu.")


def saved(save: Callable[..., None], **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def mat(*, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"X": PIXELS.transpose(2, 3, 1, 0), "y": LABELS[:, None]}, do_compression=compressed)
    return buffer.getvalue()


def picture(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(buffer, form)
    return buffer.getvalue()


GREY = idx(np.ascontiguousarray(PIXELS[:, 0, :28, :28]))
MNIST_LABELS = {"mnist/t10k-labels-idx1-ubyte": idx(LABELS), "mnist/t10k-labels-idx1-ubyte.gz": idx(LABELS)}
ARRAYS = {"images": PIXELS, "labels": LABELS, "classes": np.array(["a", "b", "c", "d"])}

CASES: dict[str, tuple[str, str, bytes, dict[str, bytes]]] = {
    "idx": ("mnist", "mnist/t10k-images-idx3-ubyte", GREY, MNIST_LABELS),
    "idx.gz": ("mnist", "mnist/t10k-images-idx3-ubyte.gz", gzip.compress(GREY), MNIST_LABELS),
    "cifar pickle": ("cifar10", "cifar-10-batches-py/test_batch", cifar_python(), {}),
    "cifar binary": (
        "cifar10",
        "cifar-10-batches-bin/test_batch.bin",
        np.hstack([LABELS[:, None], PIXELS.reshape(2, -1)]).tobytes(),
        {},
    ),
    "mat": ("svhn", "svhn/test_32x32.mat", mat(compressed=False), {}),
    "compressed mat": ("svhn", "svhn/test_32x32.mat", mat(compressed=True), {}),
    "npz": ("x.npz", "x.npz", saved(np.savez, **ARRAYS), {}),
    "compressed npz": ("x.npz", "x.npz", saved(np.savez_compressed, **ARRAYS), {}),
    "png": ("folder", "folder/a/1.png", picture("PNG"), {"folder/test.txt": b"a/1.png"}),
    "jpeg": ("folder", "folder/a/1.jpg", picture("JPEG"), {"folder/test.txt": b"a/1.jpg"}),
    "list": ("folder", "folder/test.txt", b"a/1.png\na/1.png\n", {"folder/a/1.png": picture("PNG")}),
}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def prepare(root: Path, case: str) -> tuple[Callable[[], DataSet], Path, bytes]:
    name, file, content, others = CASES[case]
    home = root / case.replace(" ", "-")
    for path, data in {file: content, **others}.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data)
    by_path = name in ("x.npz", "folder")
    return (lambda: load(home / name if by_path else name, "test", home)), home / file, content


@st.composite
def damage(draw: st.DrawFn, size: int) -> Callable[[bytes], bytes]:
    """Some bytes replaced, a piece cut out or put in, or the end cut off. Headers are hit as often as the rest."""
    near = st.one_of(st.integers(0, min(size, 400)), st.integers(0, size), st.integers(max(0, size - 400), size))
    kind = draw(st.sampled_from(["replace", "cut", "insert", "truncate"]))
    at = sorted(draw(st.lists(near, min_size=1, max_size=4)))
    junk = draw(
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, bytes(8), b"\x7f\xff\xff\xff"]))
    )

    def apply(data: bytes) -> bytes:
        if kind == "truncate":
            return data[: at[0]]
        for place in reversed(at):
            keep = {"replace": place + len(junk), "cut": place + len(junk), "insert": place}[kind]
            data = data[:place] + (b"" if kind == "cut" else junk) + data[keep:]
        return data

    return apply


def valid(data: DataSet) -> bool:
    whole = data.images.dtype == np.uint8 and data.images.ndim == 4 and len(data.images) == len(data.labels) > 0
    return bool(whole and 0 <= data.labels.min() <= data.labels.max() < data.num_classes)


@pytest.mark.parametrize("case", CASES)
def test_whole_files_are_read(root: Path, case: str) -> None:
    read, _, _ = prepare(root, case)
    assert isinstance(read(), DataSet)


@pytest.mark.parametrize("case", CASES)
def test_damaged_files_are_refused_or_valid(root: Path, case: str) -> None:
    read, path, content = prepare(root, case)

    @settings(max_examples=60, deadline=None, database=None)
    @given(damage(len(content)))
    def check(harm: Callable[[bytes], bytes]) -> None:
        path.write_bytes(harm(content))
        try:
            data = read()
        except DataFileError as error:
            refusal = str(error)
        else:
            assert valid(data)
            return
        assert str(path.parents[1]) in refusal  # the message says where

    check()
    path.write_bytes(content)


OPCODES = st.sampled_from([bytes([code]) for code in b"}](){}.0KMJUTqrhjeasutR\x85\x86\x87\x88\x89bNc\x80\x81"])
PROGRAMS = st.lists(
    st.one_of(
        OPCODES,
        st.sampled_from([b"cnumpy\ndtype\n", b"K\x01", b"U\x01a", b"}(", b"cnumpy\nndarray\n"]),
        st.binary(max_size=3),
    )
)


@settings(max_examples=300, deadline=None, database=None)
@given(PROGRAMS)
def test_any_pickle_program_is_refused_or_harmless(parts: list[bytes]) -> None:
    try:
        result = read_inert_pickle(b"\x80\x02" + b"".join(parts), "x")
    except DataFileError:
        return
    assert isinstance(result, dict)
