"""Runs one command line in a fork of a warm process, and reports how it ended.

usage: kill_driver.py MOMENTS_JSON RESULT_JSON ARGUMENT...

A moment is [blocks, seconds]. For each the command is started; it gets SIGKILL that many seconds after it has kept that
many further blocks of labels, so that a slow machine and a fast one are killed in the same places of the work. What is in
the ledger is noted after each kill. Imports are paid once; labels are kept after every batch.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import torch

import holdfast.cli.app
import holdfast.workflows.certify as work
import holdfast.workflows.planning
import holdfast.workflows.summary
from holdfast.workflows.classifiers import as_classifier, load_network

BLOCKS = 40  # batches of an input


def main() -> None:
    """Kill, look, and start again."""
    moments, result, *arguments = sys.argv[1:]
    ledger = Path(arguments[arguments.index("--ledger") + 1])
    torch.set_num_threads(1)
    work._KEEP_SECONDS = 0.0
    _ = as_classifier(load_network(arguments[1]), threads=1).fingerprint  # warms up what every fork needs
    seen = [killed_after(*moment, ledger, arguments) | counts(ledger) for moment in json.loads(moments)]
    Path(result).write_text(json.dumps(seen))


def killed_after(blocks: int, seconds: float, ledger: Path, arguments: list[str]) -> dict[str, int]:
    """Start the command in a fork; its end is the signal that ended it, or its exit code."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 2)
        sys.argv = ["holdfast", *arguments]
        os._exit(holdfast.cli.app.run())
    os.close(writing)
    with os.fdopen(reading) as errors:
        while not (line := errors.readline()).startswith("run "):
            assert line, "the command ended before it started to work"
        goal = blocks_kept(ledger) + blocks
        while blocks_kept(ledger) < goal:
            time.sleep(0.001)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def blocks_kept(ledger: Path) -> int:
    """How far the work is: a certificate stands for the blocks that it replaced."""
    found = counts(ledger)
    return BLOCKS * found["certificates"] + found["partial"]


def counts(ledger: Path) -> dict[str, int]:
    """Certificates and blocks of partial labels in the ledger."""
    with sqlite3.connect(ledger) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("certificates", "partial")
        }


if __name__ == "__main__":
    main()
