"""What was written around a draft's buffer, so that what waits there does not undo it.

While the buffer server is away, a draft is saved to the database at once. What was saved before
waits on the server, and is older: it must not be written when the server is back. Only then are
moments compared, by the clocks of those who saved.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from django.db import connections

from .. import keys
from .records import DirectWrite

EVERYTHING = ""
"""The column of which all others are: the whole row was written, or discarded."""
_SOME = 500

_lock = threading.Lock()
_last = 0


def now() -> int:
    """Microseconds since 1970, never twice the same in a process."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return _last


def text_of(member: bytes) -> str:
    """A row's key as the table has it: a long one is hashed."""
    return keys.part(member.decode("utf-8", "surrogatepass"))


def record(alias: str, buffer: str, written: Iterable[tuple[bytes, str, int]]) -> None:
    """Say in the open transaction what is written around a buffer: members, columns, moments.

    Who writes the same rows waits here for the end of this transaction. A later moment that is
    known already stays: it has overtaken this one.
    """
    listed = list(written)
    known = newest(alias, buffer, list({member for member, _, _ in listed}))
    named = {
        (text_of(member), column): max(at, known.get((member, column), 0))
        for member, column, at in listed
    }
    features = connections[alias].features
    unique = ["buffer", "member", "column"]
    DirectWrite.objects.using(alias).bulk_create(
        [
            DirectWrite(buffer=buffer, member=member, column=column, at=at)
            for (member, column), at in sorted(named.items())
        ],
        batch_size=_SOME,
        update_conflicts=True,
        unique_fields=unique if features.supports_update_conflicts_with_target else None,
        update_fields=["at"],
    )


def newest(alias: str, buffer: str, members: Sequence[bytes]) -> dict[tuple[bytes, str], int]:
    """When rows were last written around a buffer, by member and column."""
    rows = DirectWrite.objects.using(alias).filter(buffer=buffer)
    if not rows.exists():
        return {}
    by_text = {text_of(member): member for member in members}
    texts = list(by_text)
    return {
        (by_text[member], column): at
        for start in range(0, len(texts), _SOME)
        for member, column, at in rows.filter(member__in=texts[start : start + _SOME]).values_list(
            "member", "column", "at"
        )
    }


def open_gate(alias: str, buffer: str, members: Sequence[bytes]) -> None:
    """Wait for those who discard rows that are not there, and have them wait for this transaction.

    Two who write a row meet at its lock; a row that is about to be inserted has none.
    """
    DirectWrite.objects.using(alias).bulk_create(
        [
            DirectWrite(buffer=buffer, member=text, column=EVERYTHING, at=0)
            for text in sorted(map(text_of, members))
        ],
        batch_size=_SOME,
        ignore_conflicts=True,
    )


def close_gate(alias: str, buffer: str) -> None:
    """Take away what `open_gate` has put there, at the end of the transaction."""
    DirectWrite.objects.using(alias).filter(buffer=buffer, at=0)._raw_delete(alias)


def prune(alias: str, before: float) -> int:
    """Forget what was written before a moment, in seconds since 1970. Returns how much."""
    old = DirectWrite.objects.using(alias).filter(at__lt=int(before * 1_000_000))
    return old._raw_delete(alias) or 0
