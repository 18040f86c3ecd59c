"""Where client and server run: it changes what a round trip costs by a factor of three.

Waking a process on another, idle CPU takes longer than everything that is measured here, and a
scheduler places them now so, now so. So reads are measured both as they are placed, and with
client and server on one CPU, where the ratio shows the client's own work best.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

AS_PLACED = "client and server where the scheduler puts them"
ON_ONE_CPU = "client and server on one CPU"


def placements() -> Iterator[str]:
    """Each way in which reads are measured; holds until the next is asked for."""
    yield AS_PLACED
    server = int(os.environ.get("BENCHMARKS_VALKEY_PID", "0"))
    # A server that was running before is left alone. Only Linux tells a process where to run.
    if server and hasattr(os, "sched_setaffinity"):
        with _on_one_cpu(os.getpid(), server):
            yield ON_ONE_CPU


@contextlib.contextmanager
def _on_one_cpu(*pids: int) -> Iterator[None]:
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    one = {max(before[pids[0]])}
    try:
        for pid in pids:
            os.sched_setaffinity(pid, one)
        yield
    finally:
        for pid, cpus in before.items():
            os.sched_setaffinity(pid, cpus)
