"""Programs that count, and then end in one way or another.

python -m tests.processes.counting ENDING PK
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable

import django


def count(pk: int, by: int = 1) -> None:
    from tests.testapp.models import Page

    Page.view_counter.increment(pk, by)


def exits(pk: int) -> None:
    """Says so in the middle of a program."""
    count(pk, 3)
    sys.exit(7)


def returns(pk: int) -> None:
    """Comes to its end."""
    count(pk, 3)


def raises(pk: int) -> None:
    count(pk, 3)
    raise RuntimeError("A fault of the program's own.")


def vanishes(pk: int) -> None:
    count(pk, 3)
    os._exit(7)


def is_killed(pk: int) -> None:
    count(pk, 3)
    os.kill(os.getpid(), signal.SIGKILL)


def in_threads(pk: int) -> None:
    """Threads count, and are over before the end."""
    threads = [threading.Thread(target=count, args=(pk,)) for _ in range(3)]
    for thread in threads:
        thread.start()


def in_a_transaction(pk: int) -> None:
    """The main thread's connection is of no use at the end."""
    from django.db import connection

    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    count(pk, 3)


def forks(pk: int) -> None:
    """The parent vanishes; what its child has counted is the child's to drain."""
    from django.db import connection

    connection.close()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(7)
    count(pk, 3)
    sys.exit(0)


def forks_after_counting(pk: int) -> None:
    """The child has counted nothing and ends first, as the parent vanishes: nobody drains."""
    count(pk, 3)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(7)
    sys.exit(0)


def forks_beside_a_query(pk: int) -> None:
    """A child that drains must not talk on its parent's connection."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    child = os.fork()
    if not child:
        count(pk, 3)
        sys.exit(0)
    os.waitpid(child, 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT views FROM testapp_page WHERE id = %s", [pk])
        print("the parent sees", cursor.fetchone(), flush=True)
    os._exit(7)


def ends_a_test_run(pk: int) -> None:
    """The test database is destroyed, and another has its place, as test runners leave it."""
    from django.db import connections

    count(pk, 3)
    connections["default"].settings_dict["NAME"] = connections.settings["default"]["NAME"] = "away"


def _in_process(kind: str) -> Callable[[int], None]:
    def ends(pk: int) -> None:
        process = multiprocessing.get_context(kind).Process(target=_worker, args=(pk,))
        process.start()
        process.join()
        os._exit(process.exitcode or 0)

    return ends


def _worker(pk: int) -> None:
    django.setup()
    count(pk, 3)


def waits(pk: int) -> None:
    """Counts, says so, and ends when it is told."""
    count(pk, 3)
    print("counted", flush=True)
    sys.stdin.readline()
    sys.exit(7)


ENDINGS: dict[str, Callable[[int], None]] = {
    **{
        each.__name__: each
        for each in (
            *(exits, returns, raises, vanishes, is_killed, in_threads, in_a_transaction),
            *(forks, forks_after_counting, forks_beside_a_query, ends_a_test_run, waits),
        )
    },
    "process_by_fork": _in_process("fork"),
    "process_by_spawn": _in_process("spawn"),
}

if __name__ == "__main__":
    django.setup()
    ENDINGS[sys.argv[1]](int(sys.argv[2]))
