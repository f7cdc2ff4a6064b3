"""``python -m harness.cli`` is the command ``anachron``."""

from harness.cli import main

if __name__ == "__main__":  # not where a process of the zoo looks for what it is to do
    main()
