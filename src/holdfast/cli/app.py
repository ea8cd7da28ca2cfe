"""All verbs, and what happens when one fails."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import typer

from holdfast.cli.bench import bench
from holdfast.cli.certify import certify
from holdfast.cli.compare import compare
from holdfast.cli.compress import compress
from holdfast.cli.data import data
from holdfast.cli.demo import demo
from holdfast.cli.env import env
from holdfast.cli.gate import gate
from holdfast.cli.inspect import inspect
from holdfast.cli.ledger import ledger
from holdfast.cli.output import error_console
from holdfast.cli.predict import predict
from holdfast.cli.report import report
from holdfast.cli.train import train
from holdfast.cli.verify import verify
from holdfast.cli.verify_device import verify_device
from holdfast.errors import HoldfastError, HoldfastWarning
from holdfast.workflows.allocator import keep_freed_memory

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CLOSED_PIPE", "INTERRUPTED", "app", "run"]

INTERRUPTED = 130
CLOSED_PIPE = 141
"""As of a program that the signal of a closed pipe ended: neither a result nor a mistake."""

app = typer.Typer(
    name="holdfast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Certified robustness for the network you actually ship.\n\n"
    "Start with `holdfast demo`: it trains a small network, certifies it and shows what the numbers mean.",
)
app.command()(demo)
app.add_typer(data, name="data")
app.command()(train)
app.command()(compress)
app.command()(inspect)
app.command()(certify)
app.command()(predict)
app.command()(verify)
app.command("verify-device")(verify_device)
app.command()(report)
app.command()(compare)
app.command()(gate)
app.command()(bench)
app.command()(env)
app.add_typer(ledger, name="ledger")


def run() -> int:
    """Run the command line; returns the exit code: 0 done, 1 a check failed, 2 a mistake, 130 interrupted, 141 nobody reads on."""
    console = error_console()
    keep_freed_memory()
    try:
        with _warnings_in_one_line(console):
            app(standalone_mode=True)
    except HoldfastError as error:
        console.print(f"holdfast: {error}", markup=False)
        return 2
    except MemoryError:
        console.print(
            "holdfast: this machine has not enough free memory for that; everything recorded is kept. Where a command "
            "has them, a smaller --batch-size and fewer --threads need less",
            markup=False,
        )
        return 2
    except (KeyboardInterrupt, SystemExit) as end:  # typer turns Ctrl-C into a silent exit with code 130
        if isinstance(end.__context__, BrokenPipeError):  # and this into one with code 1
            with suppress(OSError):  # what is still buffered goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED_PIPE
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        console.print(
            "holdfast: interrupted; everything recorded is kept, run the same command again to continue", markup=False
        )
        return INTERRUPTED
    except OSError as error:
        console.print(f"holdfast: {error}", markup=False)
        return 2
    return 0


@contextmanager
def _warnings_in_one_line(console: Console) -> Iterator[None]:
    """Warnings of holdfast's own as one line each, once; those of others as Python shows them."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, HoldfastWarning):
                console.print(f"warning: {message}", markup=False)
            else:
                others(message, category, filename, lineno, file, line)

        warnings.simplefilter("once", HoldfastWarning)
        warnings.showwarning = show
        yield
