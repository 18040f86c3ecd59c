"""What is done at the clean end of a process, however it ends: one place for all who need it.

A process of one's own ends by `atexit`. The children of `multiprocessing` do not before Python
3.13, and the children of Celery's prefork pool never do. Uvicorn, when it is told to end by a
SIGTERM, ends well, and then kills itself by one.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

_functions: dict[Callable[[], object], int] = {}


def register(function: Callable[[], object], order: int = 0) -> None:
    """Have a function called when this process ends.

    It is called once, however often it is registered before that; and not in forked children,
    which register it for themselves.

    Args:
        function: must not raise, and must not take long.
        order: those of lower numbers are called first.
    """
    if function in _functions:
        return
    if not _functions:
        _listen()
    _functions[function] = order


def run() -> None:
    """Call what was registered. Called when the process ends."""
    while _functions:
        function = min(_functions, key=_functions.__getitem__)
        del _functions[function]
        function()


def end_well_under_uvicorn() -> None:
    """Have a process that uvicorn serves from end by `atexit` when it is told to by a SIGTERM.

    To be called while the application is loaded; elsewhere it changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if "uvicorn.server" not in sys.modules:
        return
    told = signal.getsignal(signal.SIGTERM)
    if told is signal.SIG_DFL:
        # What uvicorn puts back at its end, before it sends itself the signal.
        signal.signal(signal.SIGTERM, _exit)
    elif type(getattr(told, "__self__", None)).__module__.startswith("uvicorn."):
        signal.signal(signal.SIGTERM, partial(_interrupt, told))


def _exit(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _interrupt(told: Any, number: int, frame: Any) -> None:
    """Tell uvicorn of another signal, by which it ends as well, and does not kill itself."""
    signal.signal(number, told)  # A second one is as it would be.
    told(signal.SIGINT, frame)


def _listen() -> None:
    atexit.unregister(run)
    atexit.register(run)
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, run, exitpriority=0)
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(
            _after_worker, weak=False, dispatch_uid="django_cachepatterns.at_exit"
        )


def _after_worker(**kwargs: Any) -> None:
    run()


os.register_at_fork(after_in_child=_functions.clear)
