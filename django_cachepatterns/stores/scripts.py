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


@cache
def script(name: str) -> Script:
    """The script of `lua/<name>.lua`."""
    source = files(__package__).joinpath("lua", f"{name}.lua").read_bytes()
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())
