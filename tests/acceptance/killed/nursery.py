"""A process that is all set up, and forks the doomed ones: a fork is there in no time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from django.db import connection

from django_cachepatterns import conf
from django_cachepatterns.stores import store_of
from tests.testapp.models import Item

from .doomed import write_and_die

PATIENCE = 30.0


class End(NamedTuple):
    """How a doomed process has ended."""

    signal: int
    """0 where it was not killed."""
    code: int
    seconds: float
    """How long it lived."""


def serve(orders: Connection) -> None:
    """Fork a process for each plan that is sent, and answer with its end. `None` is the last."""
    _prepare()
    while (plan := orders.recv()) is not None:
        orders.send(forked(lambda: write_and_die(plan)))


def _prepare() -> None:
    """Have everything imported and compiled; and no connection left that children would share."""
    Item.objects.filter(pk=0).update(stock=0)
    list(Item.objects.filter(pk=0))
    connection.close()
    store_of(conf.config()).close()


def forked(life: Callable[[], object], patience: float = PATIENCE) -> End:
    """Fork a process, have it live, and wait for its end, for `patience` seconds."""
    began, parent = time.monotonic(), os.getpid()
    pid = os.fork()
    if pid == 0:
        _die_with(parent)
        _live(life)
    status = _wait(pid, patience)
    seconds = time.monotonic() - began
    if os.WIFSIGNALED(status):
        return End(os.WTERMSIG(status), 0, seconds)
    return End(0, os.WEXITSTATUS(status), seconds)


def _wait(pid: int, patience: float) -> int:
    """The exit status; a child that hangs is killed, which its code tells from the others."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.001)
    os.kill(pid, signal.SIGTERM)
    return os.waitpid(pid, 0)[1]


def _die_with(parent: int) -> None:
    """Do not outlive whoever waits for this process: its open transaction would hold up others."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _live(life: Callable[[], object]) -> None:
    try:
        life()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)  # Never back into the parent's code.
