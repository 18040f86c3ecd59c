"""Programs that read a known number of times, in threads, and then end in one way or another.

python -m tests.processes.measuring ENDING FIRST_PK THREADS READS

Each thread asks for `READS` keys that are cached, `READS` that are known not to exist, and a page
of ten; the pks from `FIRST_PK` on are those of ten rows that are cached.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable

import django

from django_cachepatterns.metrics import flushing, sending

PAGE = 10
FAMILY = "testapp.item"


def keys_asked(threads: int, reads: int) -> dict[str, int]:
    """What must have been counted by a program, once all rows and absences are cached."""
    return {"hit": threads * (reads + PAGE), "negative": threads * reads}


def calls_made(threads: int, reads: int) -> int:
    """How many calls a program makes."""
    return threads * (2 * reads + 1)


def read(first: int, reads: int) -> None:
    """The load of one thread."""
    from tests.testapp.models import Item

    for number in range(reads):
        Item.objects.get(pk=first + number % PAGE)
        with contextlib.suppress(Item.DoesNotExist):
            Item.objects.get(pk=-1 - number % PAGE)
    Item.objects.in_bulk(range(first, first + PAGE))


def load(first: int, threads: int, reads: int) -> None:
    """The load of a program."""
    running = [threading.Thread(target=read, args=(first, reads)) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def returns(*what: int) -> None:
    load(*what)


def exits(*what: int) -> None:
    load(*what)
    sys.exit(7)


def raises(*what: int) -> None:
    load(*what)
    raise RuntimeError("A fault of the program's own.")


def leaves_threads_running(first: int, threads: int, reads: int) -> None:
    """The interpreter waits for them."""
    for _ in range(threads):
        threading.Thread(target=read, args=(first, reads)).start()


def forks(first: int, threads: int, reads: int) -> None:
    """Parent and child read half each; none of it is counted by both."""
    half = threads // 2
    load(first, half, reads)
    child = os.fork()
    load(first, threads - half, reads) if not child else os.waitpid(child, 0)
    if not child:
        sys.exit(0)


def _in_process(kind: str) -> Callable[..., None]:
    def ends(first: int, threads: int, reads: int) -> None:
        half = threads // 2
        load(first, half, reads)
        process = multiprocessing.get_context(kind).Process(
            target=_worker, args=(first, threads - half, reads)
        )
        process.start()
        process.join()

    return ends


def _worker(*what: int) -> None:
    django.setup()
    load(*what)


def flushes_aloud(first: int, threads: int, reads: int) -> None:
    """Reads until it is killed, and says how many reads each flush must have brought home."""
    done = [0] * threads
    sender = flushing.sender()
    plain = sender.flush

    def flush(*args: object, **kwargs: object) -> bool:
        before = sum(done)
        sent = plain(*args, **kwargs)
        sys.stdout.write(f"flushed {before}\n")  # In one piece: it may be killed at any time.
        return sent

    def keep_reading(at: int) -> None:
        from tests.testapp.models import Item

        while True:
            Item.objects.get(pk=first + done[at] % PAGE)
            done[at] += 1

    sender.flush = flush
    for at in range(threads):
        threading.Thread(target=keep_reading, args=(at,)).start()


def is_told(*what: int) -> None:
    """Reads, says so, and reads again each time that it is told to, until it is killed."""
    load(*what)
    print("ready", flush=True)
    while sys.stdin.readline():
        load(*what)
        print("done", flush=True)


ENDINGS: dict[str, Callable[..., None]] = {
    **{
        each.__name__: each
        for each in (
            *(returns, exits, raises, leaves_threads_running, forks),
            *(is_told, flushes_aloud),
        )
    },
    "process_by_fork": _in_process("fork"),
    "process_by_spawn": _in_process("spawn"),
}

SABOTAGE: dict[str, Callable[[], None]] = {
    "sends nothing at its end": lambda: setattr(sending.Ticker, "end", lambda ticker: None),
    "counts what its parent has counted": lambda: setattr(
        flushing.counting, "_running", _Unforgettable()
    ),
}
"""What would be wrong without a part of it, so that the test is known to notice."""


class _Unforgettable(dict):
    """Counts that a forked child does not forget."""

    def clear(self) -> None:
        pass


if __name__ == "__main__":
    django.setup()
    if sabotage := os.environ.get("PROCESS_SABOTAGE"):
        SABOTAGE[sabotage]()
    ENDINGS[sys.argv[1]](*map(int, sys.argv[2:]))
