"""Data sets: the named ones, ``.npz`` files and image folders, read from the publishers' own formats.

Every file is treated as hostile, and no file is ever executed: see the readers. ``load`` is the way in.
"""

from holdfast.data.dataset import DataSet
from holdfast.data.fetching import fetch
from holdfast.data.loading import find, load
from holdfast.data.registry import Download, Layout, PublishedFile, Report, Source, SplitFiles, data_dirs
from holdfast.data.sources import SOURCES

__all__ = [
    "SOURCES",
    "DataSet",
    "Download",
    "Layout",
    "PublishedFile",
    "Report",
    "Source",
    "SplitFiles",
    "data_dirs",
    "fetch",
    "find",
    "load",
]
