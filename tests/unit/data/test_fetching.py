"""Fetching, from a server on this machine."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holdfast.data import Download, Layout, PublishedFile, Source, fetch, fetching, find, load, loading
from holdfast.data.unpacking import unpack
from holdfast.errors import DataFileError, MissingDependency, ParameterError


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and counts requests."""

    requests: list[str] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        super().do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A web server for a folder."""
    (tmp_path / "www").mkdir()
    Quiet.requests = []
    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield SimpleNamespace(folder=tmp_path / "www", url=f"http://127.0.0.1:{httpd.server_port}", seen=Quiet.requests)
        httpd.shutdown()
        thread.join()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def small_mnist(formats: SimpleNamespace, server: SimpleNamespace) -> Source:
    """MNIST with files of five images, offered by the server under their own checksums."""
    formats.write_mnist(server.folder, zipped=True)
    known = find("mnist", "/none").source
    sums = {path.name: md5(path.read_bytes()) for path in server.folder.iterdir()}
    layouts = tuple(
        replace(
            layout,
            splits=tuple((s, tuple(PublishedFile(f.name, sums.get(f.name)) for f in fs)) for s, fs in layout.splits),
        )
        for layout in known.layouts
    )
    downloads = tuple(
        replace(d, md5=sums[d.file], urls=("http://127.0.0.1:1/", f"{server.url}/{d.file}")) for d in known.downloads
    )
    return replace(known, layouts=layouts, downloads=downloads)


def test_files_are_fetched_once_and_load(
    tmp_path: Path, formats: SimpleNamespace, server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, seen = small_mnist(formats, server), []
    monkeypatch.setattr(fetching, "SOURCES", (source,))
    monkeypatch.setattr(loading, "SOURCES", (source,))
    report = fetch("mnist", tmp_path / "data", progress=lambda *step: seen.append(step))
    assert report.available == ("train", "test")
    assert len(server.seen) == 4
    assert {name for name, _, _ in seen} == {d.file for d in source.downloads}
    assert all(0 < done <= total for _, done, total in seen)
    assert len(load("mnist", "train", tmp_path / "data")) == 5
    fetch("mnist", tmp_path / "data")
    assert len(server.seen) == 4


def test_a_mirror(tmp_path: Path, formats: SimpleNamespace, server: SimpleNamespace) -> None:
    source = small_mnist(formats, server)
    elsewhere = replace(source, downloads=tuple(replace(d, urls=("http://127.0.0.1:1/",)) for d in source.downloads))
    assert fetch(elsewhere, tmp_path / "data", base_url=server.url + "/").available == ("train", "test")


def test_a_damaged_file_is_fetched_again(tmp_path: Path, formats: SimpleNamespace, server: SimpleNamespace) -> None:
    source = small_mnist(formats, server)
    fetch(source, tmp_path / "data")
    broken = tmp_path / "data/mnist/t10k-images-idx3-ubyte.gz"
    broken.write_bytes(b"broken")
    fetch(source, tmp_path / "data")
    assert broken.read_bytes() == (server.folder / broken.name).read_bytes()
    assert len(server.seen) == 5


def test_a_wrong_checksum_is_refused(tmp_path: Path, formats: SimpleNamespace, server: SimpleNamespace) -> None:
    source = small_mnist(formats, server)
    (server.folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataFileError, match=r"t10k-labels-idx1-ubyte.gz could not be fetched:(.|\n)*does not match"):
        fetch(source, tmp_path / "data")
    assert not (tmp_path / "data/mnist/t10k-labels-idx1-ubyte.gz").exists()


def test_servers_that_do_not_answer(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"http://127.0.0.1:1/train-images(.|\n)*Name a mirror with --base-url"):
        fetch("mnist", tmp_path, base_url="http://127.0.0.1:1")
    with pytest.raises(DataFileError, match="could not be fetched"):
        fetch("cifar10", tmp_path, base_url="not-a-url")
    assert not list(tmp_path.rglob("*.tmp")) + list(tmp_path.glob(".fetch*"))


def test_a_file_that_is_not_there(tmp_path: Path, server: SimpleNamespace) -> None:
    with pytest.raises(DataFileError, match="404"):
        fetch("svhn", tmp_path, base_url=server.url)


def cifar_source(server: SimpleNamespace, files: dict[str, bytes]) -> Source:
    packed = tar_gz(files)
    (server.folder / "small.tar.gz").write_bytes(packed)
    known = find("cifar10", "/none").source
    layout = Layout(
        "cifar-10-batches-py",
        "cifar10-python",
        (("train", (PublishedFile("data_batch_1"),)), ("test", (PublishedFile("test_batch"),))),
    )
    return replace(known, layouts=(layout,), downloads=(Download("small.tar.gz", md5(packed), (), packed=True),))


def test_archives_are_unpacked(tmp_path: Path, formats: SimpleNamespace, server: SimpleNamespace) -> None:
    pixels = formats.images(2, (3, 32, 32))
    batch = formats.cifar_batch(pixels, labels=[1, 2])
    source = cifar_source(server, {f"cifar-10-batches-py/{name}": batch for name in ("data_batch_1", "test_batch")})
    report = fetch(source, tmp_path / "data", server.url)
    assert report.available == ("train", "test")
    np.testing.assert_array_equal(load("cifar10", "test", tmp_path / "data").images, pixels)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["cifar-10-batches-py"]


def test_an_archive_without_the_files(tmp_path: Path, server: SimpleNamespace) -> None:
    source = cifar_source(server, {"cifar-10-batches-py/data_batch_1": b"x"})
    with pytest.raises(DataFileError, match=r"does not hold what it should(.|\n)*test_batch"):
        fetch(source, tmp_path / "data", server.url)


def test_sets_that_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"imagenet cannot be fetched. Get it from https://image-net\.org"):
        fetch("imagenet", tmp_path)
    with pytest.raises(ParameterError, match="no data set is called"):
        fetch("none")
    assert fetch("digits", tmp_path).embedded


def test_without_pooch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependency, match=r"pip install 'holdfast\[data\]'"):
        fetch("mnist", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataFileError, match=r"cannot be read|could not be stored"):
        fetch("mnist", tmp_path / "data")


def test_an_archive_inside_an_archive(tmp_path: Path) -> None:
    inner = tar_gz({"101_ObjectCategories/ant/1.jpg": b"picture", "101_ObjectCategories/ant/._1.jpg": b"junk"})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("caltech-101/", "")
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", inner)
        archive.writestr("caltech-101/Annotations.tar", b"left as it is")
    unpack(tmp_path / "a.zip", tmp_path / "scratch", tmp_path / "out")
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert files == ["caltech-101/101_ObjectCategories/ant/1.jpg", "caltech-101/Annotations.tar"]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "a\\..\\evil"])
def test_archives_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_gz({"good": b"1", name: b"2"}))
    with pytest.raises(DataFileError, match="which leads elsewhere; refused"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "scratch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_archives_with_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        member = tarfile.TarInfo("folder/link")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataFileError, match="not a regular file; refused"):
        unpack(tmp_path / "a.tar", tmp_path / "scratch", tmp_path / "out")


def test_archives_that_are_damaged_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tar_gz({"a": bytes(range(256)) * 50, "b": b"2"})
    for broken in (b"", b"junk", whole[: len(whole) // 2], whole[:40] + b"\xff\xff\xff" + whole[43:]):
        (tmp_path / "a.tar.gz").write_bytes(broken)
        with pytest.raises(DataFileError, match="a damaged archive"):
            unpack(tmp_path / "a.tar.gz", tmp_path / "scratch", tmp_path / "out")
    (tmp_path / "a.tar.gz").write_bytes(whole)
    monkeypatch.setattr("holdfast.data.unpacking.MAX_FILES", 1)
    with pytest.raises(DataFileError, match="unpacks to more than"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "scratch", tmp_path / "out")
