"""Image folders: classes, splits, resizing and cropping, and files that are no images."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from holdfast.data import class_names, image_file, image_folder, load
from holdfast.errors import DataFileError, MissingDependency


@pytest.fixture
def folder(tmp_path: Path, formats: SimpleNamespace) -> Path:
    """Two classes of ten small pictures."""
    for k in range(20):
        formats.write_picture(tmp_path / f"pets/{'cat' if k < 10 else 'Dog'}/{k:02d}.png", (9, 7), seed=k)
    (tmp_path / "pets/.hidden").mkdir()
    (tmp_path / "pets/readme.txt").write_text("not a class")
    (tmp_path / "pets/cat/notes.txt").write_text("not an image")
    (tmp_path / "pets/cat/._00.png").write_text("not an image either")
    return tmp_path / "pets"


def pixels(path: Path, mode: str = "RGB") -> np.ndarray:
    with Image.open(path) as image:
        array = np.asarray(image.convert(mode))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def test_without_lists_four_fifths_of_each_class_are_train(folder: Path) -> None:
    train, test = load(folder, "train"), load(folder, "test")
    assert train.classes == ("Dog", "cat")
    assert train.labels.tolist() == [0] * 8 + [1] * 8
    assert test.labels.tolist() == [0] * 2 + [1] * 2
    every = {image.tobytes() for image in (*train.images, *test.images)}
    assert every == {pixels(path).tobytes() for path in folder.rglob("[0-9]*.png")}
    with pytest.raises(DataFileError, match=r"no split 'valid'; write a list valid\.txt"):
        load(folder, "valid")


def test_the_division_does_not_depend_on_other_classes_or_the_machine(folder: Path) -> None:
    before = load(folder, "test").images[2:]
    names = [p.name for p in sorted((folder / "cat").glob("[0-9]*.png")) if pixels(p).tobytes() in map(bytes, before)]
    assert names == ["02.png", "03.png"]  # by SHA-256 of the names: the same everywhere
    for path in (folder / "Dog").iterdir():
        path.unlink()
    np.testing.assert_array_equal(load(folder, "test").images, before)


def test_lists_are_followed_in_their_order(folder: Path) -> None:
    (folder / "test.txt").write_text("cat/03.png\nDog/11.png\n\ncat/01.png\n")
    data = load(folder, "test")
    assert data.labels.tolist() == [1, 0, 1]
    for image, name in zip(data.images, ("cat/03.png", "Dog/11.png", "cat/01.png"), strict=True):
        np.testing.assert_array_equal(image, pixels(folder / name))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat", "line 2: 'cat' is not CLASS/FILE"),
        ("cow/1.png", "line 2: 'cow/1.png' is not CLASS/FILE"),
        ("../secret/1.png", "is not CLASS/FILE"),
        ("cat/../../1.png", "is not CLASS/FILE"),
        ("/etc/passwd", "is not CLASS/FILE"),
        ("cat/..", "is not CLASS/FILE"),
        ("cat/\0", "is not CLASS/FILE"),
        ("cat/none.png", "No such file"),
        ("cat/notes.txt", "not an image, or damaged"),
    ],
)
def test_lists_that_lead_nowhere(folder: Path, line: str, message: str) -> None:
    (folder / "test.txt").write_text(f"cat/00.png\n{line}\n")
    with pytest.raises(DataFileError, match=message):
        load(folder, "test")


def test_split_folders(folder: Path) -> None:
    for split in ("train", "val"):
        (folder.parent / "sorted" / split).mkdir(parents=True)
    (folder / "cat").rename(folder.parent / "sorted/train/cat")
    (folder / "Dog").rename(folder.parent / "sorted/val/Dog")
    assert len(load(folder.parent / "sorted", "train")) == 10
    assert load(folder.parent / "sorted", "test").classes == ("Dog",)


def test_grey_pictures_of_one_size_keep_one_channel(tmp_path: Path, formats: SimpleNamespace) -> None:
    for k in range(5):
        formats.write_picture(tmp_path / f"a/{k}.png", (8, 8), "L", k)
    data = load(tmp_path, "train")
    assert data.shape == (1, 8, 8)
    np.testing.assert_array_equal(data.images[0], pixels(tmp_path / "a/0.png", "L"))
    formats.write_picture(tmp_path / "a/5.png", (8, 8), "RGB")
    (tmp_path / "test.txt").write_text("a/0.png\na/5.png")
    assert load(tmp_path, "test").shape == (3, 8, 8)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (500, 260), (256, 256), (40, 30), (255, 257)])
def test_resize_and_centre_crop(tmp_path: Path, formats: SimpleNamespace, size: tuple[int, int]) -> None:
    formats.write_picture(tmp_path / "a/0.png", size)
    formats.write_picture(tmp_path / "a/1.jpg", (100, 100))
    (tmp_path / "test.txt").write_text("a/0.png\na/1.jpg")
    data = load(tmp_path, "test")
    assert data.shape == (3, 224, 224)
    width, height = (256, int(256 * size[1] / size[0])) if size[0] < size[1] else (int(256 * size[0] / size[1]), 256)
    with Image.open(tmp_path / "a/0.png") as image:
        resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    expected = resized[top : top + 224, left : left + 224].transpose(2, 0, 1)
    np.testing.assert_array_equal(data.images[0], expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pixel_formats_become_rgb(tmp_path: Path, formats: SimpleNamespace, mode: str) -> None:
    formats.write_picture(tmp_path / "a/0.png", (8, 8), mode)
    formats.write_picture(tmp_path / "a/1.jpg", (8, 8), "CMYK")
    (tmp_path / "test.txt").write_text("a/0.png\na/1.jpg")
    np.testing.assert_array_equal(load(tmp_path, "test").images[0], pixels(tmp_path / "a/0.png"))


def caltech(root: Path, formats: SimpleNamespace, names: tuple[str, ...] = class_names.CALTECH101) -> None:
    for k, name in enumerate(names):
        formats.write_picture(root / name / "image_0001.jpg", (30, 20 + k % 3), seed=k)


@pytest.mark.parametrize("place", ["caltech101", "caltech101/101_ObjectCategories", "101_ObjectCategories"])
def test_caltech101(tmp_path: Path, formats: SimpleNamespace, place: str) -> None:
    caltech(tmp_path / place, formats)
    formats.write_picture(tmp_path / place / "BACKGROUND_Google/image_0001.jpg", (30, 20))
    data = load("caltech101", "train", tmp_path)
    assert (data.shape, data.num_classes, data.labels.tolist()) == ((3, 224, 224), 101, list(range(101)))
    assert data.classes[:2] == ("Faces", "Faces_easy")


def test_a_part_of_caltech101_is_not_caltech101(tmp_path: Path, formats: SimpleNamespace) -> None:
    caltech(tmp_path / "caltech101", formats, class_names.CALTECH101[:5])
    with pytest.raises(DataFileError, match=r"has 101 class folders, here are 5 \(differs in .*by its path"):
        load("caltech101", "train", tmp_path)
    assert load(tmp_path / "caltech101", "train").num_classes == 5


def test_imagenet(tmp_path: Path, formats: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imagenet/val").mkdir(parents=True)
    for k in range(1000):
        (tmp_path / f"imagenet/val/n{k:08d}").mkdir()
    formats.write_picture(tmp_path / "imagenet/val/n00000042/ILSVRC2012_val_00000001.JPEG", (50, 40))
    data = load("imagenet", "test", tmp_path)
    assert (data.shape, data.num_classes, data.labels.tolist()) == ((3, 224, 224), 1000, [42])
    monkeypatch.setattr(image_folder, "MAX_ARRAY_BYTES", 1000)
    with pytest.raises(DataFileError, match=r"need more than 1000 bytes; choose some of them with a list"):
        load("imagenet", "test", tmp_path)
    (tmp_path / "imagenet/val/n00000043").rmdir()
    with pytest.raises(DataFileError, match="has 1000 class folders, here are 999"):
        load("imagenet", "test", tmp_path)


def test_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no images for 'test'"):
        load(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataFileError, match="no images for 'test'"):
        load(tmp_path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds one row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "not an image, or damaged"),
        (b"GIF89a" + bytes(50), "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (png_header(9000, 9000), "9000x9000 pixels; at most"),
        (png_header(100_000, 100_000), "not an image, or damaged|at most"),
        (png_header(300, 300), "not an image, or damaged"),
        (png_header(1, 400_000), "too narrow|damaged"),
    ],
)
def test_files_that_are_no_images(tmp_path: Path, formats: SimpleNamespace, content: bytes, message: str) -> None:
    formats.write(tmp_path / "a/0.png", content)
    formats.write_picture(tmp_path / "a/1.jpg", (100, 101))
    (tmp_path / "test.txt").write_text("a/1.jpg\na/0.png")
    with pytest.raises(DataFileError, match=message) as caught:
        load(tmp_path, "test")
    assert "0.png" in str(caught.value)


def test_truncated_and_deep_images(tmp_path: Path, formats: SimpleNamespace) -> None:
    formats.write_picture(tmp_path / "a/0.jpg", (300, 300))
    whole = (tmp_path / "a/0.jpg").read_bytes()
    (tmp_path / "test.txt").write_text("a/0.jpg")
    formats.write(tmp_path / "a/0.jpg", whole[: len(whole) // 2])
    with pytest.raises(DataFileError, match="truncated"):
        load(tmp_path, "test")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "a/0.png")
    (tmp_path / "test.txt").write_text("a/0.png")
    with pytest.raises(DataFileError, match="only 8 bits per channel"):
        load(tmp_path, "test")


def test_a_narrow_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (1, 400_000)).save(tmp_path / "a/1.bmp")
    (tmp_path / "test.txt").write_text("a/1.bmp")
    with pytest.raises(DataFileError, match=r"1\.bmp: 1x400000 pixels are too narrow"):
        load(tmp_path, "test")


def test_limits_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataFileError, match="an image file of more than 10 bytes"):
        load(folder, "test")


def test_an_image_that_changes_meanwhile(folder: Path) -> None:
    reader = image_file.common_size([folder / "cat/00.png"])
    assert reader is not None
    Image.new("RGB", (3, 3)).save(folder / "cat/00.png")
    with pytest.raises(DataFileError, match="changed its size"):
        reader.read(folder / "cat/00.png")


def test_without_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependency, match=r"pip install 'holdfast\[data\]'"):
        load(folder, "test")
