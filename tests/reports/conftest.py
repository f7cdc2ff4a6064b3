"""One run of a million operations for all tests that need its size."""

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from reports import write_all
from tests.reports.synthetic import history, report


class Million(NamedTuple):
    """The report of a run of 1,000,000 operations, and how long it took to write all its files."""

    page: Path
    seconds: float


@pytest.fixture(scope="session")
def million(tmp_path_factory: pytest.TempPathFactory) -> Million:
    run = report(history(1_000_000), logs={f"node-{number}": "line\n" * 10_000 for number in range(5)})
    begin = time.perf_counter()
    paths = write_all(run, tmp_path_factory.mktemp("million"))
    return Million(paths["report.html"], time.perf_counter() - begin)
