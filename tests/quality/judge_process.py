"""A process that works the queue of a data directory off, to be killed: DIRECTORY JUDGE_URL BUDGET_USD."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.quality.conftest import make_setup, policy_text

from gnomon_collector.quality.worker import Worker
from gnomon_collector.store.engine import open_store


def main(directory: Path, judge_url: str, usd: float) -> None:
    """Work until nothing is left."""
    setup = make_setup(judge_url, directory, policy_text(usd=usd))
    with open_store(f"chdb://{directory / 'chdb'}", data_dir=directory) as store:
        sys.stdout.write("working\n")
        sys.stdout.flush()
        asyncio.run(Worker(setup.parts(store)).run(until_empty=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
