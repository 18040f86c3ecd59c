"""What one cache key holds: a state byte, then a header, then the payload.

The layout is frozen by `tests/unit/golden_entries.json`; change it only with a new
`FORMAT`, so that old entries are misses and not garbage.

Value (`V`) and negative (`N`) entries, all integers big-endian:

    0   1  state
    1   1  format
    2   8  fingerprint of the schema that the payload was written under
    10  8  epoch of the server that granted the lease
    18  8  soft expiry, milliseconds since 1970; 0 for never
    26  4  cost of the load, microseconds
    30  2  n, the number of versions
    32 16n versions that the value depends on
    ..     payload (none in a negative entry)

A refresh is `R`, the token of its lease, 8 bytes of deadline (milliseconds since 1970), and then
the value entry that it replaces and that is served meanwhile.

A lease is `L` and its token. A mark is `W` and 16 + 13 bytes for each writer: the id of the
transaction, and its deadline in milliseconds of the server's clock as decimal digits. A tag is
`T` and its version.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

VALUE = b"V"
NEGATIVE = b"N"
LEASE = b"L"
REFRESH = b"R"
MARK = b"W"
TAG = b"T"

FORMAT = b"\x01"
TOKEN_SIZE = 16
WRITER_SIZE = TOKEN_SIZE + 13
HEADER_SIZE = 32
REFRESH_SIZE = 1 + TOKEN_SIZE + 8
MOST_VERSIONS = 0xFFFF
NO_EPOCH = b"\0" * 8

_TAIL = struct.Struct(">QIH")
_STATE_ORD, _VERSIONS_AT = 0, 30


class Header(NamedTuple):
    """The header of a value or negative entry.

    `soft_expiry` is in milliseconds since 1970 (0: never), `cost` in microseconds.
    """

    state: bytes
    fingerprint: bytes
    epoch: bytes
    soft_expiry: int
    cost: int
    versions: tuple[bytes, ...]


def new_token() -> bytes:
    """A random token: for leases, transactions and versions. Never a counter, because a flush
    or a failover would make counters collide where random tokens fail to match."""
    return os.urandom(TOKEN_SIZE)


def head(state: bytes, fingerprint: bytes, epoch: bytes) -> bytes:
    """The first 18 bytes: an entry that starts otherwise is not one that its reader can use."""
    return state + FORMAT + fingerprint + epoch


def pack(header: Header, payload: bytes = b"") -> bytes:
    """The bytes of a value or negative entry."""
    start = head(header.state, header.fingerprint, header.epoch)
    cost = min(header.cost, 0xFFFFFFFF)
    tail = _TAIL.pack(header.soft_expiry, cost, len(header.versions))
    return b"".join((start, tail, *header.versions, payload))


def unpack(data: bytes) -> tuple[Header, bytes] | None:
    """The header and payload of a value or negative entry; `None` where `data` is not one."""
    if len(data) < HEADER_SIZE or data[:1] not in (VALUE, NEGATIVE) or data[1:2] != FORMAT:
        return None
    soft_expiry, cost, count = _TAIL.unpack_from(data, 18)
    end = HEADER_SIZE + TOKEN_SIZE * count
    if len(data) < end:
        return None
    versions = tuple(data[at : at + TOKEN_SIZE] for at in range(HEADER_SIZE, end, TOKEN_SIZE))
    return Header(data[:1], data[2:10], data[10:18], soft_expiry, cost, versions), data[end:]


def payload_of(data: bytes) -> bytes:
    """The payload of a value entry whose head was checked. Cheap: this is the hit path."""
    if data[_VERSIONS_AT:HEADER_SIZE] == b"\0\0":
        return data[HEADER_SIZE:]
    count = int.from_bytes(data[_VERSIONS_AT:HEADER_SIZE])
    return data[HEADER_SIZE + TOKEN_SIZE * count :]


def lease(token: bytes) -> bytes:
    """The bytes of a lease entry."""
    return LEASE + token


def refresh_lease(token: bytes, deadline: int) -> bytes:
    """What goes before a value that is being refreshed.

    Args:
        token: the lease's.
        deadline: milliseconds since 1970, when the refresh counts as failed.
    """
    return REFRESH + token + deadline.to_bytes(8)


def being_refreshed(data: bytes) -> tuple[int, bytes]:
    """The deadline of a refresh, and the value entry that is served meanwhile."""
    return int.from_bytes(data[1 + TOKEN_SIZE : REFRESH_SIZE]), data[REFRESH_SIZE:]


def soft_expiry_and_cost(data: bytes) -> tuple[int, int]:
    """Milliseconds since 1970 (0: never) and microseconds, of a value whose head was checked."""
    soft_expiry, cost, _ = _TAIL.unpack_from(data, 18)
    return soft_expiry, cost


def versions_of(data: bytes) -> bytes:
    """The versions of a value or negative entry whose head was checked, one after the other."""
    return data[
        HEADER_SIZE : HEADER_SIZE + TOKEN_SIZE * int.from_bytes(data[_VERSIONS_AT:HEADER_SIZE])
    ]


def tag(version: bytes) -> bytes:
    """The bytes of a tag entry."""
    return TAG + version


def writers_of(data: bytes) -> list[tuple[bytes, int]]:
    """The transactions in a mark, each with its deadline in ms of the server's clock."""
    return [
        (data[at : at + TOKEN_SIZE], int(data[at + TOKEN_SIZE : at + WRITER_SIZE]))
        for at in range(1, len(data), WRITER_SIZE)
    ]


def is_tag(data: bytes) -> bool:
    """Whether an entry is a tag's version."""
    return len(data) == 1 + TOKEN_SIZE and data[:1] == TAG
