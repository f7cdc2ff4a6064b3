"""The edge of the program: every error becomes one clear message and the right exit status, and no traceback is ever shown."""

from __future__ import annotations

import io
import sys
import tempfile
import traceback
from typing import Any

import typer

from harness.cli.output import complain
from harness.errors import FAILURE, USAGE, AnachronError, UsageError

INTERRUPTED = 130
"""128 + SIGINT, for commands that Ctrl-C ends before they have an answer."""

# Typer once depended on click and now carries it inside: the base class of its errors is the same by this way in both.
_CommandLineError: Any = typer.BadParameter.__mro__[2]


def run_command(app: typer.Typer) -> None:
    """Run the command that ``sys.argv`` names and exit with the status that it returns."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign still gets its verdict
    sys.exit(_status_of(app))


def _status_of(app: typer.Typer) -> int:
    # Not ``app()``: that ends with 2 on a mistyped option and with 1 on a closed pipe, which mean inconclusive and violated here.
    try:
        command = typer.main.get_command(app)
        with command.make_context("anachron", sys.argv[1:]) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as error:
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except AnachronError as error:
        complain(str(error))
        return error.exit_status
    except _CommandLineError as error:
        complain(str(_in_our_words(error)))
        return USAGE
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program: whatever it is, it is told, kept and exits 255
        complain(_unexpected(error))
        return FAILURE


def _in_our_words(error: Any) -> UsageError:
    """What is wrong with the command line, and which command's help tells more."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "anachron"
    return UsageError(error.format_message().rstrip("."), fix=f"`{path} --help` shows what is possible")


def _unexpected(error: Exception) -> str:
    """The message for an error that nobody foresaw; its traceback is kept in a file."""
    what = f"something unforeseen went wrong: {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="anachron-", suffix=".traceback", delete=False) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return str(AnachronError(what, why=f"in {last.name}, {last.filename}:{last.lineno}"))
    return str(AnachronError(what, why="a fault in Anachron, not in what you test", fix=f"report it with {file.name}"))
