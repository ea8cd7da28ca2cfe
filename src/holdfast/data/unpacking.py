"""Unpacking a publisher's archive: regular files only, below one folder, within limits."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from holdfast.errors import DataFileError

__all__ = ["unpack"]

MAX_TOTAL_BYTES = 8 * 2**30
MAX_FILES = 100_000
INNER = ".tar.gz"

Member = tuple[str, int, IO[bytes]]


def unpack(archive: Path, scratch: Path, target: Path) -> None:
    """Unpack a ``.tar.gz`` or ``.zip``, and a ``.tar.gz`` inside it in its place.

    Everything is unpacked into ``scratch`` first and moved file by file when it is complete.

    Args:
        archive: the file.
        scratch: a folder for the time being, in the same file system as ``target``.
        target: where the files go; existing files of the same name are replaced.

    Raises:
        DataFileError: damaged, or it holds links, names outside the folder, or too much.
    """
    try:
        _into(archive, scratch, depth=0)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise DataFileError(f"{archive.name}: a damaged archive ({error})") from error
    for path in sorted(p for p in scratch.rglob("*") if p.is_file()):
        place = target / path.relative_to(scratch)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _into(archive: Path, folder: Path, depth: int) -> None:
    total = 0
    for number, (name, size, stream) in enumerate(_members(archive)):
        total += size
        if total > MAX_TOTAL_BYTES or number >= MAX_FILES:
            raise DataFileError(f"{archive.name}: unpacks to more than {MAX_TOTAL_BYTES} bytes or {MAX_FILES} files")
        place = folder / _safe(archive, name)
        if place.name.startswith("._"):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        if depth == 0 and name.endswith(INNER):
            _into(place, place.parent, depth + 1)
            place.unlink()


def _members(archive: Path) -> Iterator[Member]:
    """Name, size and content of each regular file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    with packed.open(entry) as stream:
                        yield entry.filename, entry.file_size, stream
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise DataFileError(f"{archive.name}: holds {member.name!r}, which is not a regular file; refused")
            yield member.name, member.size, content


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.name:
        raise DataFileError(f"{archive.name}: holds the name {name!r}, which leads elsewhere; refused")
    return path
