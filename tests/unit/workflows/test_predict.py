"""Images from files and data sets, read as if hostile and never changed in silence; one fresh key per answer."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from holdfast.data import load
from holdfast.errors import DataFileError, HoldfastError, ImpossibleRequest, ParameterError
from holdfast.workflows.predict import image_shape, predict_images, read_image

GREY = np.random.default_rng(3).integers(0, 256, (1, 8, 6), dtype=np.uint8)
COLOUR = np.random.default_rng(4).integers(0, 256, (3, 8, 6), dtype=np.uint8)


def save(path: Path, image: NDArray[Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, image)
    else:
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(path)
    return path


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", [".npy", ".png", ".bmp"])
def test_an_image_file_is_read_as_it_is(kind: str, image: NDArray[np.uint8], tmp_path: Path) -> None:
    path = save(tmp_path / f"image{kind}", image)
    found = read_image(str(path), image.shape)
    assert found.dtype == np.uint8
    assert np.array_equal(found, image)
    assert image_shape(str(path)) == image.shape


@pytest.mark.parametrize("index", [0, 499])
def test_an_input_of_a_data_set(index: int) -> None:
    name = f"digits:{index}"
    assert np.array_equal(read_image(name, (1, 8, 8)), load("digits", "test").images[index])
    assert image_shape(name) == (1, 8, 8)


def test_a_file_whose_name_has_a_colon_is_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "digits:3.npy", GREY)
    assert np.array_equal(read_image(str(path), GREY.shape), GREY)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits:500", "inputs are 0 to 499"),
        ("digits:-1", "has no input '-1'"),
        ("digits:x", "has no input 'x'"),
        ("digits:²", "has no input '²'"),
        ("digits:", "has no input ''"),
        ("diigts:0", "Did you mean 'digits'"),
    ],
)
def test_an_input_that_no_data_set_has(name: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        read_image(name, (1, 8, 8))


@pytest.mark.parametrize(
    "image", [GREY[:, :7], GREY[0], COLOUR, GREY.astype(np.float32) / 255, GREY.astype(np.int64), GREY[None]]
)
def test_another_shape_or_kind_of_number_is_refused_not_converted(image: NDArray[Any], tmp_path: Path) -> None:
    path = save(tmp_path / "image.npy", image)
    with pytest.raises(ParameterError, match=r"shape") as caught:
        read_image(str(path), (1, 8, 6))
    assert str(path) in str(caught.value)


def test_a_picture_of_another_size_is_not_resized(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"of shape \(1, 8, 6\); the network takes uint8 of shape \(1, 28, 28\)"):
        read_image(str(save(tmp_path / "image.png", GREY)), (1, 28, 28))


def npy(header: str, body: bytes = bytes(48)) -> bytes:
    text = header.encode("latin-1").ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, image=GREY)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of 40000 x 40000 pixels in two kilobytes."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))  # noqa: E731
    size = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(2000))) + chunk(b"IEND", b"")
    )


def picture(pixels: NDArray[Any] = GREY[0], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


SHAPE = "{'descr': '|u1', 'fortran_order': False, 'shape': "
BAD: dict[str, bytes] = {
    "empty.npy": b"",
    "text.npy": b"1 2 3",
    "cut.npy": npy(SHAPE + "(1, 8, 6), }", bytes(40)),
    "petabytes.npy": npy(SHAPE + "(1, 99999999, 99999999), }"),
    "open.npy": npy(SHAPE + "(1, 8, 6, }"),
    "zeros.npy": npy(SHAPE + "(1, 8, 06), }"),
    "pickle.npy": pickle.dumps(GREY),
    "objects.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([1])),
    "archive.npy": archive(),
    "zip.npy": b"PK\3\4zip",
    "empty.png": b"",
    "text.png": b"<html>",
    "cut.png": picture()[:-30],
    "bomb.png": bomb(),
    "sixteen.png": picture(GREY[0].astype(np.uint16) * 256),
    "a decoder that is not trusted.tiff": picture(kind="TIFF"),
    "postscript.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 8\n%%EndComments\nshowpage\n",
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_image_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(DataFileError) as caught:
        read_image(str(tmp_path / name), (1, 8, 6))
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("name", ["nothing.npy", "nothing.png", "nothing"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=name):
        read_image(str(tmp_path / name), (1, 8, 6))
    (tmp_path / name).mkdir()
    with pytest.raises(DataFileError, match=name):
        read_image(str(tmp_path / name), (1, 8, 6))


@given(st.sampled_from(["image.npy", "image.png"]), st.data())
def test_a_damaged_file_is_an_error_of_ours_or_an_image(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    whole = picture() if name.endswith("png") else npy(SHAPE + "(1, 8, 6), }")
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(
            st.integers(0, 255) | st.sampled_from(b"(),'0{}\n")
        )
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(whole)))]))
    try:
        image = read_image(str(path), (1, 8, 6))
    except HoldfastError:
        return
    assert (image.shape, image.dtype) == ((1, 8, 6), np.uint8)


# Answers


def test_every_image_is_answered_in_order(squares: Any, tmp_path: Path) -> None:
    names = [str(save(tmp_path / f"{i}.npy", squares.data.images[i])) for i in (0, 6, 11, 4)]
    told: list[tuple[int, int]] = []
    answers = predict_images(
        squares.classifier(), names, n=500, alpha="0.001", batch=64, on_progress=lambda *done: told.append(done)
    )
    assert [name for name, _ in answers] == names
    assert [answer.label for _, answer in answers] == [0, 1, 2, -1]
    assert all(sum(answer.counts) == 500 for _, answer in answers)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_no_image_is_answered_if_one_cannot_be_read(squares: Any, tmp_path: Path) -> None:
    classifier = squares.classifier()
    good = str(save(tmp_path / "good.npy", squares.data.images[0]))
    with pytest.raises(DataFileError, match="bad"):
        predict_images(classifier, [good, str(tmp_path / "bad.npy")], n=100, alpha="0.001", batch=64)
    assert classifier.calls == []


def test_every_query_has_a_fresh_key(squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key used twice would let an adversary search for an image with unlucky noise."""
    classifier, keys = squares.classifier(), []
    labels: Callable[..., Any] = classifier.labels
    monkeypatch.setattr(
        classifier, "labels", lambda image, address, *r: keys.append(address) or labels(image, address, *r)
    )
    name = str(save(tmp_path / "image.npy", squares.data.images[4]))
    predict_images(classifier, [name, name], n=50, alpha="0.01", batch=50)
    assert len({address.run_key for address in keys}) == 2
    assert {address.purpose.value for address in keys} == {"predict"}


@pytest.mark.parametrize(
    ("n", "alpha", "error"),
    [
        (0, "0.01", ParameterError),
        (5, "0.001", ImpossibleRequest),
        (99, "0.7", ParameterError),
        (99, "x", ParameterError),
    ],
)
def test_unusable_parameters(n: int, alpha: str, error: type[Exception], squares: Any, tmp_path: Path) -> None:
    name = str(save(tmp_path / "image.npy", squares.data.images[4]))
    with pytest.raises(error):
        predict_images(squares.classifier(), [name], n=n, alpha=alpha, batch=50)
