"""``init``: a first plan and a nightly workflow."""

from __future__ import annotations

from pathlib import Path

from harness.cli.output import say
from harness.errors import PASS, UsageError
from harness.explain import annotated_plan
from harness.store.files import storage_error, write_text

_WORKFLOW = """\
# Every night: does the cache deployment still keep its contract? Written by `anachron init`.
name: anachron
on:
  schedule:
    - cron: "23 2 * * *"
  workflow_dispatch:

permissions:
  contents: read

jobs:
  contract:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install anachron
      - run: anachron doctor
      # 0 pass; 1 violated, 2 inconclusive, 254 unusable plan and 255 failure of the harness all fail the job.
      - run: anachron run anachron.toml --seed "$GITHUB_RUN_NUMBER"
      - name: Summary
        if: always()
        run: cat runs/*/summary.md >> "$GITHUB_STEP_SUMMARY" || true
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: anachron
          path: runs/
"""


def write_starter(directory: Path, *, force: bool) -> int:
    """Write the plan and the workflow under ``directory``; both or neither. Raises ``UsageError`` and ``StorageError``."""
    files = {directory / "anachron.toml": annotated_plan(), directory / ".github" / "workflows" / "anachron.yml": _WORKFLOW}
    in_the_way = [path for path in files if path.exists()]
    if in_the_way and not force:
        raise UsageError(
            f"{' and '.join(path.name for path in in_the_way)} already there",
            where=str(in_the_way[0].parent),
            fix="give --force to write over",
        )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, path) from None
        write_text(path, text)
        say(f"wrote {path}")
    say("\nnow: anachron run anachron.toml   (it writes to runs/, which belongs into .gitignore)")
    return PASS
