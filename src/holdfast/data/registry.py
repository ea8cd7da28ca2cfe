"""What is known about each data set, and the finding of its files in the data directories."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from holdfast.data.files import reading
from holdfast.errors import ParameterError

__all__ = [
    "Download",
    "Layout",
    "PublishedFile",
    "Report",
    "Source",
    "SplitFiles",
    "data_dirs",
    "find_source",
    "search",
]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of a data set. ``md5`` is the publisher's, or None where none is known."""

    name: str
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One way a data set lies on disk.

    Attributes:
        folder: below a data directory.
        reader: which reader reads it.
        splits: the files of each split; no files means an image folder, where the folder itself is looked for.
    """

    folder: str
    reader: str
    splits: tuple[tuple[str, tuple[PublishedFile, ...]], ...]


@dataclass(frozen=True, slots=True)
class Download:
    """A file the publisher offers: ``folder`` (below a data directory) is where it, or what is packed in it, goes."""

    file: str
    md5: str
    urls: tuple[str, ...]
    folder: str = ""
    packed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set that has a name.

    Attributes:
        name: what the user types.
        description: one line.
        shape: (C, H, W) of an image as it is certified.
        num_classes: number of classes.
        classes: their names; empty if the names of the class folders are used.
        splits: which splits there are.
        licence: one line.
        citation: one line.
        layouts: where its files may lie, best first; empty if it is part of holdfast.
        downloads: what ``fetch`` gets.
        advice: what to do where ``fetch`` cannot help.
    """

    name: str
    description: str
    shape: tuple[int, int, int]
    num_classes: int
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    licence: str
    citation: str
    layouts: tuple[Layout, ...] = ()
    downloads: tuple[Download, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """Where the files of one split were looked for, in one layout and one data directory.

    Attributes:
        split: name of the split.
        reader: which reader reads them.
        present: the files that are there, in order.
        missing: those that are not.
        damaged: those whose checksum was asked for and is not the publisher's.
    """

    split: str
    reader: str
    present: tuple[Path, ...]
    missing: tuple[Path, ...]
    damaged: tuple[Path, ...] = ()

    @property
    def complete(self) -> bool:
        """All files are there and none is known to be damaged."""
        return not self.missing and not self.damaged


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked for and found.

    Attributes:
        source: the data set.
        looked_in: the data directories, in order.
        candidates: every place where a split may lie, best first.
    """

    source: Source
    looked_in: tuple[Path, ...]
    candidates: tuple[SplitFiles, ...]

    @property
    def embedded(self) -> bool:
        """The data set is part of holdfast and needs no files."""
        return not self.source.layouts

    def best(self, split: str) -> SplitFiles | None:
        """The first complete place of a split, or None."""
        return next((c for c in self.candidates if c.split == split and c.complete), None)

    @property
    def available(self) -> tuple[str, ...]:
        """The splits that can be loaded."""
        return tuple(s for s in self.source.splits if self.embedded or self.best(s))

    def explain(self, split: str) -> str:
        """Why a split cannot be loaded: where it was looked for, and what to do."""
        lines = [f"{self.source.name} ({split}) was not found. Looked for"]
        for place in (c for c in self.candidates if c.split == split):
            lines += [f"  {path}" for path in place.missing]
            lines += [f"  {path} (found)" for path in place.present if place.missing and path not in place.damaged]
            lines += [f"  {path} (found, but its checksum is not the publisher's)" for path in place.damaged]
        get = f"Get it with `holdfast data fetch {self.source.name}`" if self.source.downloads else self.source.advice
        return "\n".join([*lines, f"{get}, or say where it is with --data-dir or HOLDFAST_DATA."])


def data_dirs(data_dir: Path | str | None = None) -> tuple[Path, ...]:
    """The data directories, in the order they are searched.

    Args:
        data_dir: if given, the only one.

    Returns:
        ``data_dir``; or the directory in the environment variable ``HOLDFAST_DATA`` (if set), then the user's own:
        ``$XDG_DATA_HOME/holdfast``, by default ``~/.local/share/holdfast``.

    Example:
        >>> data_dirs("my-data")
        (PosixPath('my-data'),)
    """
    if data_dir is not None:
        return (Path(data_dir).expanduser(),)
    named = os.environ.get("HOLDFAST_DATA")
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (*([Path(named).expanduser()] if named else []), Path(base).expanduser() / "holdfast")


def find_source(name: str, sources: tuple[Source, ...]) -> Source:
    """The source of a name; case, ``-`` and ``_`` do not matter.

    Raises:
        ParameterError: there is none; the message names those there are.
    """
    plain = {re.sub(r"[-_ ]", "", source.name): source for source in sources}
    key = re.sub(r"[-_ ]", "", name.lower())
    if key in plain:
        return plain[key]
    close = get_close_matches(key, plain, 1)
    hint = f" Did you mean {plain[close[0]].name!r}?" if close else ""
    known = ", ".join(source.name for source in sources)
    raise ParameterError(f"no data set is called {name!r}.{hint} Known: {known}; or give a path to an .npz or a folder")


def search(source: Source, data_dir: Path | str | None, verify: bool) -> Report:
    """Look for a source's files in the data directories."""
    directories = data_dirs(data_dir)
    candidates: list[SplitFiles] = []
    for folder, layout in ((d / layout.folder, layout) for d in directories for layout in source.layouts):
        with reading(folder, "a data directory"):
            candidates += _look(folder, layout, verify)
    return Report(source, directories, tuple(candidates))


def _look(folder: Path, layout: Layout, verify: bool) -> Iterator[SplitFiles]:
    for split, files in layout.splits:
        if not files:
            here, there = ((folder,), ()) if _has_folders(folder) else ((), (folder,))
            yield SplitFiles(split, layout.reader, here, there)
            continue
        present = tuple(folder / file.name for file in files if (folder / file.name).is_file())
        missing = tuple(folder / file.name for file in files if folder / file.name not in present)
        damaged = [folder / f.name for f in files if verify and folder / f.name in present and not _genuine(folder, f)]
        yield SplitFiles(split, layout.reader, present, missing, tuple(damaged))


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(entry.is_dir() for entry in folder.iterdir())


def _genuine(folder: Path, file: PublishedFile) -> bool:
    """Whether the checksum is the published one, where one is published."""
    if file.md5 is None:
        return True
    with (folder / file.name).open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == file.md5
