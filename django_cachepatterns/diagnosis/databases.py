"""The databases that cached rows come from, and that buffers are flushed to."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, connections, router

from ..exceptions import CachePatternsError
from ..invalidation import registry
from ..transactions.state import reads_a_snapshot
from ..write_behind import registry as buffers
from ..write_behind.records import RECORDS
from ..write_behind.tenants import aliases_of
from .finding import Finding, fine, warning, wrong


def databases() -> Iterator[Finding]:
    """What is to be said of each database that is used."""
    flushed = _flushed()
    read = {router.db_for_write(model) for model in registry.tracked_models()}
    for alias in sorted(read | flushed):
        yield from _database(alias, alias in flushed)


def _flushed() -> set[str]:
    """Where buffers are flushed to."""
    try:
        return {alias for buffer in buffers.buffers() for alias in aliases_of(buffer)}
    except CachePatternsError:
        return {buffer.alias for buffer in buffers.buffers()}


def _database(alias: str, flushed: bool) -> Iterator[Finding]:
    about, connection = f"database {alias!r}", connections[alias]
    try:
        tables = set(connection.introspection.table_names())
    except (DatabaseError, InterfaceError) as error:
        text = " ".join(str(error).split())
        yield wrong(about, f"It does not answer: {text}", "Start it, or look at DATABASES.")
        return
    yield fine(about, f"It answers, and is {connection.display_name}.")
    missing = sorted({record._meta.db_table for record in RECORDS} - tables) if flushed else []
    if missing:
        option = "" if alias == "default" else f" --database {alias}"
        yield wrong(
            about,
            f"Write-behind is flushed to it, but has no tables there: {', '.join(missing)}.",
            f"Run `manage.py migrate django_cachepatterns{option}`.",
        )
    if reads_a_snapshot(connection):
        requests = bool(connection.settings_dict["ATOMIC_REQUESTS"])
        yield warning(
            about,
            "Its isolation level is REPEATABLE READ or SERIALIZABLE: in a transaction every read "
            "goes to the database" + (", and ATOMIC_REQUESTS makes each request one." * requests),
            "Use READ COMMITTED, or set the level for the transactions that need it.",
        )
