"""Fetching a data set from its publisher, with checksums."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.data.registry import Download, Report, Source, data_dirs, find_source, search
from holdfast.data.sources import SOURCES
from holdfast.data.unpacking import unpack
from holdfast.errors import DataFileError, MissingDependency, ParameterError

__all__ = ["fetch"]

Progress = Callable[[str, int, int], None]
"""Called with a file name, the bytes received and the bytes there are (0 if the server does not say)."""

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 16


def fetch(
    name: str | Source,
    data_dir: Path | str | None = None,
    base_url: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Fetch the files of a data set that are not there yet, check them, and unpack them.

    A download is used only if its checksum is the publisher's. A file appears under its name when it is complete; a
    broken download leaves nothing behind.

    Args:
        name: a registered name, or a source of your own.
        data_dir: where to put the files; by default the first of :func:`~holdfast.data.registry.data_dirs`.
        base_url: a mirror that has the publisher's files, under the publisher's file names.
        progress: called while data arrives.

    Returns:
        What is there now, checksums verified.

    Raises:
        ParameterError: no data set has this name, or it cannot be fetched (ImageNet).
        DataFileError: a server cannot be reached, a checksum differs, or a file cannot be written.
        MissingDependency: pooch is not installed.

    Example:
        >>> fetch("digits").available
        ('train', 'test')
    """
    source = find_source(name, SOURCES) if isinstance(name, str) else name
    target = data_dirs(data_dir)[0]
    report = search(source, data_dir, verify=True)
    if _available(report) and not any(place.damaged for place in report.candidates):
        return report
    if not source.downloads:
        raise ParameterError(f"{source.name} cannot be fetched. {source.advice}.")
    for download in source.downloads:
        try:
            _get(download, target, base_url, progress)
        except OSError as error:
            raise DataFileError(f"{source.name}: {download.file} could not be stored in {target} ({error})") from error
    report = search(source, data_dir, verify=True)
    if not _available(report):
        split = next(s for s in source.splits if s not in report.available)
        raise DataFileError(f"{source.name}: fetched, but it does not hold what it should. {report.explain(split)}")
    return report


def _available(report: Report) -> bool:
    """All splits that ``fetch`` gets are there."""
    return {"train", "test"} & set(report.source.splits) <= set(report.available)


def _get(download: Download, target: Path, base_url: str | None, progress: Progress | None) -> None:
    folder = target / download.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not download.packed:
        _retrieve(download, folder, folder, base_url, progress)
        return
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target) as scratch:
        archive = _retrieve(download, Path(scratch), folder, base_url, progress)
        unpack(archive, Path(scratch) / "unpacked", folder)


def _retrieve(download: Download, to: Path, home: Path, base_url: str | None, progress: Progress | None) -> Path:
    """Download one file from the first server that has it; ``home`` is where its content belongs in the end."""
    urls = download.urls if base_url is None else (f"{base_url.rstrip('/')}/{download.file}",)
    failures = []
    for url in urls:
        try:
            return _from_server(url, download, to, progress)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; pooch's checksum error a ValueError
            failures.append(f"\n  {url}: {_first_line(error)}")
    raise DataFileError(
        f"{download.file} could not be fetched:{''.join(failures)}\n"
        f"Name a mirror with --base-url, or {'unpack' if download.packed else 'put'} the file in {home} yourself."
    )


def _from_server(url: str, download: Download, folder: Path, progress: Progress | None) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise MissingDependency("fetching data needs pooch: pip install 'holdfast[data]'") from error
    bar = _Bar(download.file, progress) if progress else False
    with _quiet(pooch.get_logger()):
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS)
        known_hash = f"md5:{download.md5}"
        return Path(pooch.retrieve(url, known_hash, fname=download.file, path=folder, downloader=downloader))


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Bar:
    """What pooch expects of a progress bar."""

    def __init__(self, file: str, progress: Progress) -> None:
        self.file, self.progress, self.total, self.done = file, progress, 0, 0

    def update(self, count: int) -> None:
        self.done += count  # pooch counts whole chunks, so the last one may be too much
        self.progress(self.file, min(self.done, self.total) if self.total else self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing to do."""
