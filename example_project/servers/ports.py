"""Ports to listen on."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

HOST = "127.0.0.1"

# Below the range that Linux (32768) and macOS (49152) take the source ports of outgoing
# connections from: a server that is stopped and started again must find its port free, and a client
# that retries in the meantime must not be able to connect to itself.
_CANDIDATES = range(12_000, 32_000)

_random = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    for port in _random.sample(_CANDIDATES, 200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"No free port on {HOST} between {_CANDIDATES[0]} and {_CANDIDATES[-1]}.")


def on_free_port(start: Callable[[int], None], *, busy: tuple[type[Exception], ...]) -> None:
    """Start a server on a free port, and again on another one where that failed with ``busy``."""
    for attempts_left in (2, 1, 0):
        try:
            start(free_port())
        except busy:
            # Another process may have taken the port between looking and binding.
            if not attempts_left:
                raise
        else:
            return
