"""Confirming a suspicion: an entry is held while the database is asked, so that nobody is accused.

That an entry was the same before and after a look at the database does not prove that it was not
written meanwhile: a row may be changed, changed back, and cached again with the very same bytes. So
what is suspected gets bytes that nobody else can write, and that readers are served as before: a
value is put behind a refresh lease with a random token, an absence gets a random number where its
header has a field without meaning. A write takes its place, and then it is not what was held.

So: where an entry is still held after the database was read, no write to it began since it was
held. What is committed was committed before, and its writer has ended, or its mark would have stood
there. An entry that differs from the database then was not made by the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from .. import entry
from ..stores import RedisInspector
from .looks import Asked, Seen, look

HELD_FOR = 5.0
"""Seconds for which no reader refreshes what is held, where an auditor dies with it."""
TIMES = 3
"""How often an entry that is written meanwhile is looked at again."""

Differs = Callable[[Seen], bool]
"""Asks the database whether what readers are served is wrong."""


def confirmed(
    inspector: RedisInspector, source: Any, asked: Asked, differs: Differs, heal: bool
) -> tuple[Seen | None, bool]:
    """What readers are served that is surely wrong, and whether it was deleted.

    Raises `StoreUnavailable`, and whatever `differs` does.

    Args:
        heal: delete it, if it is still what was confirmed.
    """
    for _ in range(TIMES):
        seen = look(inspector.store, source, [asked])[0].get(asked)
        if seen is None or not differs(seen):
            return None, False
        held = _held(seen.data)
        if not inspector.swap(asked.key, seen.data, held):
            continue
        wrong = False
        try:
            wrong = _is_wrong(inspector, source, asked, held, differs)
        finally:
            back = b"" if wrong and heal else seen.data
            done = inspector.swap(asked.key, held, back)
        if wrong:
            return seen, heal and done
    return None, False


def _is_wrong(
    inspector: RedisInspector, source: Any, asked: Asked, held: bytes, differs: Differs
) -> bool:
    """Whether what is held differs from the database, and was held all along."""
    before = look(inspector.store, source, [asked])[0].get(asked)
    if before is None or before.data != held or not differs(before):
        return False
    after = look(inspector.store, source, [asked])[0].get(asked)
    return after is not None and after == before


def _held(data: bytes) -> bytes:
    """The same entry in bytes that nobody else can write."""
    token = entry.new_token()
    if data[:1] == entry.NEGATIVE:
        # Where a value has its soft expiry; an absence has none.
        return data[:18] + token[:8] + data[26:]
    value = data[entry.REFRESH_SIZE :] if data[:1] == entry.REFRESH else data
    return entry.refresh_lease(token, int((time() + HELD_FOR) * 1000)) + value
