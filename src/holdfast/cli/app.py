"""All verbs, and what happens when one fails."""

from __future__ import annotations

import os
import sys

import typer

from holdfast.cli.certify import certify
from holdfast.cli.data import data
from holdfast.cli.demo import demo
from holdfast.cli.env import env
from holdfast.cli.inspect import inspect
from holdfast.cli.ledger import ledger
from holdfast.cli.output import error_console
from holdfast.cli.predict import predict
from holdfast.cli.train import train
from holdfast.cli.verify import verify
from holdfast.errors import HoldfastError
from holdfast.workflows.allocator import keep_freed_memory

__all__ = ["INTERRUPTED", "app", "run"]

INTERRUPTED = 130

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
app.command()(inspect)
app.command()(certify)
app.command()(predict)
app.command()(verify)
app.command()(env)
app.add_typer(ledger, name="ledger")


def run() -> int:
    """Run the command line; returns the exit code: 0 done, 1 a check failed, 2 a mistake, 130 interrupted."""
    console = error_console()
    keep_freed_memory()
    try:
        app(standalone_mode=True)
    except HoldfastError as error:
        console.print(f"holdfast: {error}", markup=False)
        return 2
    except (KeyboardInterrupt, SystemExit) as end:  # typer turns Ctrl-C into a silent exit with code 130
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        console.print(
            "holdfast: interrupted; everything recorded is kept, run the same command again to continue", markup=False
        )
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        console.print(f"holdfast: {error}", markup=False)
        return 2
    return 0
