"""The driver against redis-benchmark: same server, same machine, same number of connections, interleaved rounds.

    python tests/benchmarks/bench_driver.py [--rounds 5] [--seconds 2]

Both send GET and SET 90 to 10 without pipelining, over 200 keys, with values of the same size; the driver records every
operation. redis-benchmark cannot mix the two, so it runs them one after the other and its rate is that of the same mix:
1 / (0.9 / GET + 0.1 / SET). The ratio is the median over rounds; each of ours is held against the two of theirs around it. A
second worker brings more only where it finds a core beside the server's and the first one's; where it finds none, it must not
cost anything either. Then, at 5,000 operations a second,
open loop: how long from the stamp of a call to the return of ``send`` (measured inside a worker), and how far calls lag behind
their due times.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from harness.driver.connection import Client, Connection
from harness.driver.loop import Loop
from harness.driver.worker import Worker
from harness.journal import read_journals
from harness.runtimes.base import Endpoint
from tests.driver.runs import MS, play, task
from tests.driver.servers import valkey

TARGET_RATIO = 0.70
TARGET_TWO = 0.95  # no loss: rounds of the same thing differ by more than the rest
TARGET_SEND_US = 200.0


def redis_benchmark(program: str, endpoint: Endpoint, connections: int, seconds: float) -> float:
    """Operations a second of redis-benchmark at 90/10."""
    rates = {}
    for test, share in (("get", 0.9), ("set", 0.1)):
        requests = max(1_000, int(60_000 * seconds * share))
        command = [program, "-h", endpoint.host, "-p", str(endpoint.port), "-c", str(connections), "-n", str(requests)]
        out = subprocess.run([*command, "-t", test, "-r", "200", "-d", "31", "--csv"], check=True, capture_output=True, text=True)
        rates[test] = float(next(row for row in csv.reader(out.stdout.splitlines()) if row[0] == test.upper())[1])
    return 1 / (0.9 / rates["get"] + 0.1 / rates["set"])


def driver(directory: Path, endpoint: Endpoint, sessions: int, workers: int, seconds: float) -> float:
    """Operations a second of the driver; every one is in the history."""
    history = asyncio.run(play(task(directory, [endpoint], workers, sessions=sessions), int(seconds * 1000)))
    assert history.complete
    assert (history.status == 0).all()
    return len(history) / ((history.return_ns.max() - history.call_ns.min()) / 1e9)


def send_times(directory: Path, endpoint: Endpoint, rate: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Nanoseconds from call to the return of ``send``, and from due to call, at ``rate``."""
    sent: list[int] = []

    class Timed(Loop):
        def _send(self, client: Client, connection: Connection) -> None:
            super()._send(client, connection)
            sent.append(self.now_ns() - client.call_ns)

    worker = Worker(task(directory, [endpoint], sessions=20, rate=rate), 0)
    worker.loop.__class__ = Timed
    worker.open()
    begin_ns = worker.loop.now_ns() + 50 * MS
    worker.run(begin_ns, begin_ns + int(seconds * 1e9))
    worker.close()
    history = read_journals(worker.task.directory)
    return np.array(sent), history.call_ns - history.due_ns


def main() -> int:
    """Print the ratios; exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        print("this benchmark needs redis-benchmark (apt install redis-tools) or valkey-benchmark on PATH")
        return 1
    missed = False
    with tempfile.TemporaryDirectory() as place, valkey(Path(place)) as (endpoint, _):
        for connections in (20, 50):
            ratios: dict[int, list[float]] = {1: [], 2: []}
            rates: dict[int, list[float]] = {0: [], 1: [], 2: []}
            rates[0].append(redis_benchmark(program, endpoint, connections, options.seconds))
            for _ in range(options.rounds):
                for workers, found in ratios.items():
                    rates[workers].append(driver(Path(place), endpoint, connections, workers, options.seconds))
                    rates[0].append(redis_benchmark(program, endpoint, connections, options.seconds))
                    # Against the mean of the round before and after: other work on the machine comes and goes.
                    found.append(rates[workers][-1] / statistics.mean(rates[0][-2:]))
            one, two = (statistics.median(ratios[workers]) for workers in (1, 2))
            middle = {workers: statistics.median(found) for workers, found in rates.items()}
            print(
                f"{connections} connections: redis-benchmark {middle[0]:,.0f}/s; driver with one worker {middle[1]:,.0f}/s, "
                f"ratio {one:.2f} ({min(ratios[1]):.2f} to {max(ratios[1]):.2f}); with two {middle[2]:,.0f}/s, ratio {two:.2f}"
            )
            pairs = [after / before for before, after in zip(rates[1], rates[2], strict=True)]
            print(
                f"  two workers against one on {os.cpu_count()} cores: {statistics.median(pairs):.2f} "
                f"({min(pairs):.2f} to {max(pairs):.2f})"
            )
            missed |= one < TARGET_RATIO or statistics.median(pairs) < TARGET_TWO
        send_ns, lag_ns = send_times(Path(place), endpoint, 5_000, options.seconds)
        send_us, lag_us = (np.percentile(times, (50, 99)) / 1000 for times in (send_ns, lag_ns))
        print(f"5,000/s open loop, {len(send_ns):,} operations: call to sent p50 {send_us[0]:.0f} us, p99 {send_us[1]:.0f} us")
        print(f"  schedule lag (due to call) p50 {lag_us[0]:.0f} us, p99 {lag_us[1]:.0f} us")
        missed |= send_us[1] > TARGET_SEND_US
    verdict = "MISSED" if missed else "met"
    ratios_wanted = f"ratio with one worker >= {TARGET_RATIO}, two workers >= {TARGET_TWO} of one"
    print(f"targets: {ratios_wanted}, call to sent p99 < {TARGET_SEND_US:.0f} us: {verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
