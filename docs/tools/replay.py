"""Type the tutorial's commands and write down what they answer: ``python docs/tools/replay.py``.

In a block marked ``console`` a line that begins with ``$`` is a command, and what follows it is its standard output;
of a command that ends with code 2 the message on standard error as well. All commands of all pages run one after the
other in one empty folder, so that each page continues where the one before it ended.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TUTORIAL = Path(__file__).parents[1] / "tutorial"
PAGES = tuple(TUTORIAL / f"{name}.md" for name in ("demo", "train", "certify", "verify", "report", "gate"))
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<answer>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def commands(page: str) -> Iterator[tuple[str, str]]:
    """The commands of a page, each with the answer that is written there."""
    for block in BLOCK.findall(page):
        for found in COMMAND.finditer(block):
            yield found["command"], found["answer"]


def answer(command: str, folder: Path, path: Path = Path(sys.executable).parent) -> str:
    """Run a command.

    Args:
        command: a line of a shell.
        folder: where it is typed.
        path: where ``holdfast`` and ``python`` are found first.

    Raises:
        RuntimeError: the command crashed.
    """
    settings = os.environ | {
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1, 2) or "Traceback" in done.stderr:
        raise RuntimeError(f"{command}\nended with code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if done.returncode == 2 else "")


def replayed(page: str, folder: Path) -> str:
    """A page with the answers of now."""
    return BLOCK.sub(
        lambda block: COMMAND.sub(
            lambda found: f"$ {found['command']}\n{answer(found['command'], folder)}", block.group()
        ),
        page,
    )


def main() -> None:
    """Rewrite all pages of the tutorial."""
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            print(page.name, flush=True)
            page.write_text(replayed(page.read_text(encoding="utf-8"), Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
