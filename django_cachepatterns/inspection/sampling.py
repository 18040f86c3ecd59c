"""How much there is of what: estimated from a sample, by SCAN within a budget, never by KEYS.

The server gives keys in the order of its hash table, which is as good as random, so what the first
few thousand are stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import overload

from .. import conf
from ..stores import RedisInspector, inspector_of
from . import names
from .families import HEAD_SIZE, family_of
from .names import Name, UnknownKey, name_of

STEP = 500
"""Keys in one step of the SCAN: well below a millisecond of the server's time."""


@dataclass(frozen=True, slots=True)
class FamilySample:
    """What a sample says of one family.

    Args:
        family: what metrics call it; `tags`, `metrics` and `other` are families, too.
        entries: how many keys it has, estimated; exact where the sample is complete.
        bytes: what they take in the server, estimated; `None` where that cannot be asked.
        sampled: keys of it in the sample.
        measured: those whose size was asked for.
    """

    family: str
    entries: int
    bytes: int | None
    sampled: int
    measured: int


@dataclass(frozen=True, slots=True)
class Sample(Sequence[FamilySample]):
    """The families of a server, the largest first.

    Args:
        families: each.
        looked_at: how many keys were looked at, whoever's.
        keys: how many the server has.
        is_complete: whether those are all of them.
    """

    families: tuple[FamilySample, ...]
    looked_at: int
    keys: int
    is_complete: bool

    @overload
    def __getitem__(self, at: int) -> FamilySample: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[FamilySample]: ...
    def __getitem__(self, at: int | slice) -> FamilySample | Sequence[FamilySample]:
        return self.families[at]

    def __len__(self) -> int:
        return len(self.families)

    def __str__(self) -> str:
        if self.is_complete:
            return f"all {self.looked_at:,} keys"
        return f"sampled {self.looked_at:,} of about {self.keys:,} keys"


def sample(limit: int = 5000, seconds: float = 0.25, measured: int = 50) -> Sample:
    """Estimate how many entries there are of each family, and how large they are.

    Args:
        limit: keys that are looked at, at most; all keys of the server count, other libraries' too.
        seconds: after which no more are asked for.
        measured: keys of each family whose size is asked for.

    Raises `StoreUnavailable`, and `PolicyError` where the settings name no server. Of the server of
    CACHE; write-behind buffers are in it where BUFFER_CACHE is the same.
    """
    server = inspector_of(conf.config())
    keys, looked_at, is_complete = _looked_through(server, limit, seconds)
    in_all = max(server.keys_in_all(), looked_at)
    by_family: dict[str, list[bytes]] = {}
    for family, key in _by_family(server, keys):
        by_family.setdefault(family, []).append(key)
    share = 1.0 if is_complete else in_all / max(looked_at, 1)
    found = [_measured(server, family, some, share, measured) for family, some in by_family.items()]
    found.sort(key=lambda each: (-(each.bytes or 0), -each.entries, each.family))
    return Sample(tuple(found), looked_at, looked_at if is_complete else in_all, is_complete)


def _looked_through(
    server: RedisInspector, limit: int, seconds: float
) -> tuple[list[bytes], int, bool]:
    """Our keys in a sample of all keys; how large that was, and whether it was all there is."""
    prefix = conf.config().values["KEY_PREFIX"].encode() + b":"
    seen: set[bytes] = set()
    own: list[bytes] = []
    cursor, until = b"0", monotonic() + seconds
    while True:
        # Without a pattern, which would hide how many keys were looked at.
        cursor, some = server.scan(cursor, min(STEP, limit))
        own += [key for key in some if prefix in key and key not in seen]
        seen.update(some)
        if int(cursor) == 0:
            return own, len(seen), True
        if len(seen) >= limit or monotonic() >= until:
            return own, len(seen), False


def _by_family(server: RedisInspector, keys: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    named: list[Name] = []
    prefix = conf.config().values["KEY_PREFIX"]
    for key in keys:
        try:
            named.append(name_of(key, prefix))
        except UnknownKey:
            continue  # Our prefix is somewhere in the middle of it.
    of_functions = [name for name in named if name.kind == names.FUNCTION]
    raw = [name.raw for name in of_functions]
    starts = dict(zip(raw, server.starts_of(raw, HEAD_SIZE), strict=True))
    for name in named:
        key = name.raw
        yield family_of(name, starts.get(key)), key


def _measured(
    server: RedisInspector, family: str, keys: Sequence[bytes], share: float, most: int
) -> FamilySample:
    sizes = [size for size in server.memory_of(keys[:most]) if size is not None]
    entries = round(len(keys) * share)
    size = round(sum(sizes) / len(sizes) * entries) if sizes else None
    return FamilySample(family, entries, size, len(keys), len(sizes))
