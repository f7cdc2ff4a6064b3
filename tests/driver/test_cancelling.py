"""Operations that are given up in flight: how many, where, and what becomes of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from harness.driver import DriverPool
from harness.driver.cancelling import Cancelling
from harness.history import Status
from harness.journal import read_counts, read_journals
from tests.driver.runs import MS, task
from tests.driver.servers import valkey


def test_a_share_of_the_operations_at_some_nodes_is_struck():
    """By chance, the same for the same seed; at other nodes none, and none once it is over."""
    first, second = (Cancelling(Random("seed")) for _ in range(2))
    for cancelling in (first, second):
        assert not cancelling.active
        cancelling.set(0.25, [1, 2])
        assert cancelling.active
    struck = [first.strikes(1) for _ in range(4_000)]
    assert struck == [second.strikes(1) for _ in range(4_000)]
    assert 800 < sum(struck) < 1_200
    assert first.count == sum(struck)
    assert not any(first.strikes(0) for _ in range(100))
    first.set(0, [1])
    assert first.active, "another node's still holds"
    assert not any(first.strikes(1) for _ in range(100))
    first.set(0, [2])
    assert not first.active


@pytest.mark.servers
def test_workers_obey_while_they_play(tmp_path: Path):
    """From the order on a share of the operations at that node is info, and no more after the next; all are counted."""

    async def scenario(endpoints) -> DriverPool:
        told = task(tmp_path, endpoints, workers=2, timeout_ms=5_000, sessions=8)
        pool = DriverPool(told)
        try:
            await pool.open()
            begin_ns = time.monotonic_ns() - told.origin_ns + 50 * MS
            pool.start(begin_ns, begin_ns + 20_000 * MS)
            await asyncio.sleep(0.3)
            assert pool.cancelled() == 0
            pool.cancel(0.5, [0])
            async with asyncio.timeout(10):
                while min(read_counts(told.directory, worker).cancelled for worker in (0, 1)) < 10:  # noqa: ASYNC110 - ask is all
                    await asyncio.sleep(0.01)
            pool.cancel(0, [0])
            await asyncio.sleep(0.3)
            pool.stop()
            await pool.finished()
            counts = pool.counts()
            assert 20 <= counts.cancelled == counts.info
        finally:
            await pool.close()
        history = read_journals(told.directory)
        info = history.status == Status.INFO
        assert info.sum() == counts.cancelled
        assert {history.errors[code] for code in history.error[info]} == {"cancelled"}
        assert set(history.node[info]) == {0}
        assert (history.status[history.node == 1] == Status.OK).all()
        assert set(history.op[info] % 2) == {0, 1}, "both workers obeyed"
        last = np.flatnonzero(info)[-1]
        assert (history.status[last + 1 :] == Status.OK).any()

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with valkey(tmp_path / "one") as (one, _), valkey(tmp_path / "other") as (other, _):
        asyncio.run(scenario([one, other]))
