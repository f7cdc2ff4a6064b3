"""``python -m harness.cli`` is the command ``anachron``."""

from harness.cli import main

main()
