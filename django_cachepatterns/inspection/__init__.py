"""Looking inside: one key, how much there is of what, and how the server is.

For people (the admin's dashboard, a shell); readers of the cache need none of it. Everything here
reads, and changes nothing.
"""

from __future__ import annotations

from .described import Dependency, Described, Writer
from .describing import describe
from .health import ServerHealth, server
from .names import Name, UnknownKey, name_of
from .sampling import FamilySample, Sample, sample

__all__ = [
    "Dependency",
    "Described",
    "FamilySample",
    "Name",
    "Sample",
    "ServerHealth",
    "UnknownKey",
    "Writer",
    "describe",
    "name_of",
    "sample",
    "server",
]
