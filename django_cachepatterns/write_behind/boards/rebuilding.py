"""Rebuilding a leaderboard from the database, while it is counted on.

Under the claim of a flush, so that nobody applies batches meanwhile, what waits is sealed and read.
Then one statement reads all scores, and which of those batches are in the ledger. The new board is
made of the scores and of the batches that are not; one script adds what was counted since, and puts
it in the place of the old one. Should the claim lapse on the way, that script refuses, and all
begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections, transaction

from ... import entry
from ...exceptions import PolicyError, StoreUnavailable
from ...stores.boards import BoardKeys, Rebuild, RedisBoards
from ...transactions import state
from ...transactions.publishing import may_publish
from .. import ledger
from . import refreshing, rows, unseen

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

CLAIM_TTL = 10_000
"""Milliseconds after which another may rebuild what a dead process has begun to."""
RESET_TTL = 60_000
"""The same for a reset, whose one statement takes as long as the table is large."""
READERS_WAIT = 0.5
"""Seconds that a reader waits for somebody else's rebuild, before it asks the database."""
PATIENCE = 30.0
"""Seconds that `rebuild()` and `reset()` wait for a flush that is under way."""
TRIES = 5
_PAUSE = 0.01

Waiting = Mapping[str, Mapping[bytes, bytes]]
"""What waits, by batch."""


class _Lost(Exception):
    """The claim has lapsed, or the server was restarted."""


def ensure(board: Leaderboard) -> bool:
    """See to it that there is a board to be read. Returns whether there is.

    Raises `StoreUnavailable`, `PolicyError`, and what the database does.
    """
    if not may_publish(board.alias):
        return False  # What this transaction sees is not for all.
    server, keys = board.server(), board.board_keys()
    until = time.monotonic() + READERS_WAIT
    while time.monotonic() < until:
        if server.ask(keys, b"size") is not None:
            return True
        with _claimed(server, keys) as token:
            if token is not None:
                # Another may have built it since it was asked for.
                if server.ask(keys, b"size") is not None:
                    return True
                if _built(board, server, keys, token):
                    return True
        time.sleep(_PAUSE)
    return False


def rebuild(board: Leaderboard) -> None:
    """Make the board anew.

    Raises `StoreUnavailable`, `PolicyError` in a transaction that has written, and what the
    database does.
    """
    if not may_publish(board.alias):
        raise PolicyError(
            f"{board.name} cannot be rebuilt in this transaction: others must not see what it has "
            "written, or a snapshot that may be old. Rebuild after it."
        )
    server, keys = board.server(), board.board_keys()
    for _ in range(TRIES):
        with _waited_for(board, server, keys) as token:
            if _built(board, server, keys, token):
                return
    raise StoreUnavailable(
        f"{board.name} could not be rebuilt: each time another process took the claim over, or the "
        "server was restarted. The next read tries again."
    )


def reset(board: Leaderboard) -> None:
    """Take all scores away, and what waits for them.

    Raises `StoreUnavailable`, `PolicyError` inside of a transaction, and what the database does.
    """
    if state.in_transaction(connections[board.alias]):
        raise PolicyError(
            f"{board.name} cannot be reset inside of a transaction: what waits would be lost if "
            "that was rolled back. Reset after it."
        )
    server, keys = board.server(), board.board_keys()
    with _waited_for(board, server, keys) as token:
        begun = server.begin_board(keys, token, CLAIM_TTL)
        server.drop(keys)
        try:
            note = _take_scores_away(board, server, keys, begun)
        except _Lost:
            raise StoreUnavailable(
                f"{board.name} was not reset: the claim was lost, because it took longer than "
                f"{RESET_TTL // 1000} seconds, or the server was restarted. Try again, or take the "
                "scores away in parts by update(), and rebuild() after that."
            ) from None
        for batch in begun.batches:
            server.ack(keys.buffer, batch)()
        if _built(board, server, keys, token):
            unseen.forget(board, [note])


def _take_scores_away(
    board: Leaderboard, server: RedisBoards, keys: BoardKeys, begun: Rebuild
) -> str:
    """Returns the id of a note, by which the board is dropped if this process dies now.

    Raises `_Lost`, and then nothing was done: another may have flushed what was counted meanwhile,
    and that must stay.
    """
    alias, field, removed = board.alias, board.field, board.arithmetic.removed
    if not server.renew(keys, begun, RESET_TTL):
        raise _Lost
    with transaction.atomic(using=alias):
        for batch in begun.batches:
            # Into the ledger: a flusher that has read it already must not apply it after this.
            ledger.record(connections[alias], batch, board.name, 0)
        scored = board.model._base_manager.using(alias).exclude(**{field: removed})
        scored.update(**{field: removed})
        note = unseen.note(board)
        if not server.renew(keys, begun, CLAIM_TTL):
            raise _Lost
        return note


@contextmanager
def _claimed(server: RedisBoards, keys: BoardKeys) -> Iterator[bytes | None]:
    """Claim the buffer for a block: gives a token, `None` where another holds it."""
    token = entry.new_token()
    if not server.claim_rebuild(keys, token, CLAIM_TTL):
        yield None
        return
    try:
        yield token
    finally:
        server.unclaim_rebuild(keys, token)


@contextmanager
def _waited_for(board: Leaderboard, server: RedisBoards, keys: BoardKeys) -> Iterator[bytes]:
    until = time.monotonic() + PATIENCE
    while True:
        with _claimed(server, keys) as token:
            if token is not None:
                yield token
                return
        if time.monotonic() > until:
            raise StoreUnavailable(
                f"{board.name} has been flushed or rebuilt by others for {PATIENCE:.0f} seconds. "
                "Try again."
            )
        time.sleep(_PAUSE)


def _built(board: Leaderboard, server: RedisBoards, keys: BoardKeys, token: bytes) -> bool:
    """Make a new board under the claim. Returns whether nothing came in between."""
    board.follow_testcase()
    with connections[board.alias].cursor() as cursor:
        cursor.execute("SELECT 1")  # A database that is away must not leave a batch for each try.
    begun = server.begin_board(keys, token, CLAIM_TTL)
    try:
        waiting = {batch: server.read(keys.buffer, batch)() for batch in begun.batches}
        _fill(board, server, keys, begun, waiting)
        if not server.finish(keys, board.rules(), begun):
            raise _Lost
    except _Lost:
        server.abandon(begun)
        return False
    refreshing.drain(board)
    return True


def _fill(
    board: Leaderboard, server: RedisBoards, keys: BoardKeys, begun: Rebuild, waiting: Waiting
) -> None:
    changing = {member for changes in waiting.values() for member in changes}
    scores: dict[bytes, int | None] = {}
    done: set[str] = set()
    renewal = _Renewal(server, keys, begun)
    with transaction.atomic(using=board.alias):
        for some in rows.snapshot(board, begun.batches):
            done.update(batch for batch, _, _ in some if batch is not None)
            found = {board.members.member(pk): score for batch, pk, score in some if not batch}
            scores.update((member, found.pop(member)) for member in changing & found.keys())
            server.add(begun, _stored(board, found.items()))
            renewal.renew()
    for batch in begun.batches:
        if batch not in done:
            _change(board, scores, waiting[batch])
    server.add(begun, _stored(board, scores.items()))
    server.add_todo(keys, changing.difference(scores))


class _Renewal:
    """Holds a claim while there is work. Raises `_Lost`."""

    def __init__(self, server: RedisBoards, keys: BoardKeys, begun: Rebuild) -> None:
        self._server, self._keys, self._begun = server, keys, begun
        self._at = time.monotonic()

    def renew(self) -> None:
        now = time.monotonic()
        if now > self._at + CLAIM_TTL / 3000:
            self._at = now
            if not self._server.renew(self._keys, self._begun, CLAIM_TTL):
                raise _Lost


def _change(
    board: Leaderboard, scores: dict[bytes, int | None], changes: Mapping[bytes, bytes]
) -> None:
    for member, text in changes.items():
        if member in scores:
            scores[member] = board.arithmetic.after(text, scores[member])


def _stored(
    board: Leaderboard, scores: Iterable[tuple[bytes, int | None]]
) -> Iterator[tuple[bytes, bytes]]:
    """Scores as the sorted set has them, with their members."""
    sign = -1 if board.order == "desc" else 1
    for member, score in scores:
        if score is not None:
            yield b"%d" % (sign * score), member
