"""Writes to the database that a leaderboard could not be told of, because its server was away.

Each leaves a row in the ledger, in its own transaction: the next flush that can reach the server
drops the board, and the read after that rebuilds it. The ids of these rows begin with a hash of
the board's name, so that they are found by the ledger's primary key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections

from .. import ledger
from ..records import LedgerEntry

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

_OWN, _RANDOM = 10, 6
"""Bytes of an id that are the board's, and that are the write's."""


def note(board: Leaderboard) -> str:
    """Say that a row was written, in the open transaction where there is one. Returns the id."""
    batch = (_own(board) + os.urandom(_RANDOM)).hex()
    ledger.record(connections[board.alias], batch, board.name, 0)
    return batch


def noted(board: Leaderboard) -> list[str]:
    """The ids of what was noted."""
    first, last = (UUID(bytes=_own(board) + byte * _RANDOM) for byte in (b"\0", b"\xff"))
    found = LedgerEntry.objects.using(board.alias).filter(pk__gte=first, pk__lte=last)
    return [batch.hex for batch in found.values_list("pk", flat=True)]


def forget(board: Leaderboard, ids: Sequence[str]) -> None:
    """The board was rebuilt, or will be: they are seen now."""
    if ids:
        found = LedgerEntry.objects.using(board.alias).filter(pk__in=[UUID(each) for each in ids])
        found._raw_delete(board.alias)


def _own(board: Leaderboard) -> bytes:
    digest = bytearray(hashlib.blake2b(board.keys().root, digest_size=_OWN).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x40, digest[8] & 0x3F | 0x80  # MariaDB wants a UUID.
    return bytes(digest)
