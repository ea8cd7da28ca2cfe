"""What a person sees: progress with time left, plain lines when the output is no terminal, JSON for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

if TYPE_CHECKING:
    from holdfast.training import EpochRecord

__all__ = ["Reporter", "epoch_line", "error_console", "print_json", "print_line", "progress", "seconds_text"]

_PLAIN_EVERY_SECONDS = 5.0


class Reporter(Protocol):
    """Called with (done, total, text, seconds left or None)."""

    def __call__(self, done: float, total: float, text: str, seconds_left: float | None = None) -> None: ...


def error_console() -> Console:
    """Progress and messages go to standard error, so that standard output is only results."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_line(text: str) -> None:
    """One line of result. What cannot be printed is escaped: names in another person's ledger do not steer the terminal."""
    sys.stdout.write("".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + "\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """A result for machines: sorted, indented JSON on standard output."""
    sys.stdout.write(json.dumps(value, sort_keys=True, indent=2) + "\n")
    sys.stdout.flush()


def seconds_text(seconds: float) -> str:
    """A duration as people say it.

    Example:
        >>> seconds_text(7.2), seconds_text(75), seconds_text(7260)
        ('7 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress(title: str) -> Iterator[Reporter]:
    """A progress bar on a terminal; elsewhere a plain line every few seconds. Both say how long it will still take."""
    console = error_console()
    if not console.is_terminal:
        yield _plain_reporter(console, title)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, note="")

        def report(done: float, total: float, text: str, seconds_left: float | None = None) -> None:
            bar.update(task, completed=done, total=total, note=_note(text, seconds_left))

        yield report


def _plain_reporter(console: Console, title: str) -> Reporter:
    last = time.monotonic()

    def report(done: float, total: float, text: str, seconds_left: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_EVERY_SECONDS:
            last = time.monotonic()
            console.print(f"{title}: {done / total:.0%}, {_note(text, seconds_left)}", markup=False)

    return report


def _note(text: str, seconds_left: float | None) -> str:
    if seconds_left is None or seconds_left != seconds_left:
        return text
    return f"{text}, {seconds_text(seconds_left)} left"


def epoch_line(record: EpochRecord, epochs: int) -> str:
    """One epoch of a training, with the time left at its speed."""
    left = (epochs - record.epoch) * record.seconds
    clean = f", clean {record.clean_accuracy:.4f}" if record.clean_accuracy is not None else ""
    noisy = f", noisy {record.noisy_accuracy:.4f}" if record.noisy_accuracy is not None else ""
    return (
        f"epoch {record.epoch:3d}/{epochs}: loss {record.train_loss:#.4g}, train {record.train_accuracy:.4f}{clean}{noisy}, "
        f"{record.images_per_second:,.0f} images/s, {seconds_text(left)} left"
    )
