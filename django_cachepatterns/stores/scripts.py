"""The Lua scripts, read once from their files, sent by hash."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script's source and its SHA-1, by which the server knows it."""

    source: bytes
    sha: bytes


NAMES = (
    "begin_write",
    "end_write",
    "fill",
    "install",
    "lease_over",
    "lease_refresh",
    "release",
    "drop",
)
BUFFER_NAMES = (
    "count",
    "put",
    "discard",
    "seal",
    "ack",
    "look",
    "live",
    "backlog",
    "claim",
    "unclaim",
)
"""Those of write-behind."""
BOARD_NAMES = (
    "score",
    "board_begin",
    "board_look",
    "board_install",
    "board_finish",
    "board_renew",
    "board_read",
)
"""Those of leaderboards; few connections need them."""
METRICS_NAMES = ("metrics_add", "metrics_read", "metrics_roll")
"""Those of metrics; one connection of a process needs them."""
WARMING_NAMES = ("warm", "warm_fill")
"""Those of warming; few processes need them."""
WITH_SCORES = frozenset({"score", "board_look", "board_install", "board_finish"})
"""Those that have `scores.lua` before them."""
WITH_BATCHES = frozenset({"count", "put", "seal", "board_begin"}) | WITH_SCORES
"""Those that begin with `batches.lua`."""


@cache
def script(name: str) -> Script:
    """The script of `lua/<name>.lua`."""
    parts: list[str] = []
    if name in WITH_BATCHES:
        parts.append("batches")
    if name in WITH_SCORES:
        parts.append("scores")
    folder = files(__package__).joinpath("lua")
    source = b"".join(folder.joinpath(f"{part}.lua").read_bytes() for part in (*parts, name))
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())
