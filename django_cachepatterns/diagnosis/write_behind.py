"""Write-behind: whether anybody flushes, and whether the database takes it."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError

from ..exceptions import CachePatternsError
from ..monitoring import backlog
from ..write_behind import registry
from .finding import Finding, counted, fine, warning, wrong

ABOUT = "write-behind"
LATE, SHORTEST = 3, 10.0
"""Flushes that a buffer may be behind, and the seconds that anything may wait."""


def write_behind() -> Iterator[Finding]:
    """What is to be said of buffers; nothing where there are none."""
    buffers = {buffer.name: buffer for buffer in registry.buffers()}
    if not buffers:
        return
    try:
        waits = backlog.backlogs()
    except CachePatternsError as error:
        yield wrong(
            ABOUT,
            f"What waits cannot be seen: {error}",
            "See that the server of BUFFER_CACHE runs. Meanwhile counts go to the database.",
        )
        return
    late = [
        each
        for each in waits
        if each.oldest > max(LATE * buffers[each.buffer].flush_every, SHORTEST)
    ]
    for each in late:
        yield wrong(
            ABOUT,
            f"{each.buffer}: {each.rows:,} rows wait, the oldest for {each.oldest:,.0f} s. Nobody "
            "flushes, or flushes fail.",
            "Run `manage.py flush_write_behind`, which says why; then have Celery beat or "
            "`flush_write_behind --loop` do it.",
        )
    if not late:
        rows = counted(sum(each.rows for each in waits), "row")
        yield fine(ABOUT, f"{counted(len(buffers), 'buffer')}, {rows} waiting, none for too long.")
    yield from _letters()


def _letters() -> Iterator[Finding]:
    try:
        letters = +backlog.letters()
    except (DatabaseError, InterfaceError, CachePatternsError):
        return  # The databases' part says so.
    if letters:
        each = ", ".join(f"{name}: {number}" for name, number in sorted(letters.items()))
        yield warning(
            ABOUT,
            f"The database has refused {letters.total():,} changes ({each}).",
            "See `manage.py retry_dead_letters --list`, mend the cause, and retry or discard them.",
        )
