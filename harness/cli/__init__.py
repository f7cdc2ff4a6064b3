"""The command line: thin commands over the conductor, the checkers and the reports."""

from harness.cli.app import main

__all__ = ["main"]
