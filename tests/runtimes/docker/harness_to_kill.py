"""A harness that starts one container, says so, and waits to be killed: ``python -m ... DIRECTORY``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.runtimes.docker.fleet import LINK, running


async def main(directory: Path) -> None:
    async with running(directory, nodes=2) as runtime:
        await runtime.cut([LINK])
        print(runtime._run, flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
