"""Forked children, whose answers come back through a pipe."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable


def in_child(action: Callable[[], str]) -> str:
    """What an action returns in a forked child."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn where there are other threads, such as pytest-xdist's.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            os.write(writing, action().encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
