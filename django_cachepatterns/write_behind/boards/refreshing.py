"""Refreshing members of a leaderboard from the database.

A look reads what waits for the members and leaves its number at each of them. Then one statement
reads their rows together with which of the sealed batches are in the ledger. What comes of both is
put on the board, unless a batch was born meanwhile (then it is done again), or somebody began to
look at a member later (then that one knows more). What waits in the active batch is added in the
moment in which the score is put on the board. A member whose look came to nothing still has its
number, and the next flush looks at it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections

from ... import conf
from ...conf import as_tenant
from ...exceptions import PolicyError, StoreUnavailable
from ...log_events import event, seldom
from ...stores.boards import Look
from ...stores.buffers import LARGEST
from ...transactions import state
from ...transactions.callbacks import register
from .. import live
from ..dead_letters import UNREADABLE
from ..members import member_of
from . import unseen

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

logger = logging.getLogger("django_cachepatterns")

TRIES = 20
"""How often a look is begun again before it is left to the next flush."""
_NO_ROW = b"x"


def refresh(board: Leaderboard, members: Sequence[bytes], *, only_todo: bool = False) -> None:
    """Have the board say of members what the database does, and what waits.

    Args:
        only_todo: leave out those of which the board knows.

    Raises `StoreUnavailable`, `PolicyError`, and what the database does.
    """
    for at in range(0, len(members), LARGEST):
        some = members[at : at + LARGEST]
        for _ in range(TRIES):
            if _looked_at(board, some, only_todo):
                break


def _looked_at(board: Leaderboard, members: Sequence[bytes], only_todo: bool) -> bool:
    server, keys, rules = board.server(), board.board_keys(), board.rules()
    look = server.begin_look(keys, rules, members, only_todo=only_todo)
    return look is None or server.end_look(keys, rules, look, _scores(board, look))


def _scores(board: Leaderboard, look: Look) -> dict[bytes, bytes]:
    """The scores of members, with what sealed batches make of them."""
    pks = {member: pk for member in look.members if (pk := _pk(board, member)) is not None}
    rows, done = live.flushed(board, list(pks.values()), [batch for batch, _ in look.batches])
    waiting = [texts for batch, texts in look.batches if batch not in done]
    found: dict[bytes, bytes] = {}
    for at, member in enumerate(look.members):
        row = rows.get(member_of(board.model, pks[member])) if member in pks else None
        if row is None:
            found[member] = _NO_ROW
            continue
        (score,) = row
        for texts in waiting:
            score = board.arithmetic.after(texts[at], score)
        found[member] = b"" if score is None else b"%d" % score
    return found


def _pk(board: Leaderboard, member: bytes) -> Any:
    """The primary key of a member; `None` where the key was of another type when it was counted."""
    try:
        return board.members.pk(member)
    except UNREADABLE:
        return None


def drain(board: Leaderboard) -> None:
    """Look at the members that somebody should have looked at. Raises as `refresh` does."""
    server, keys = board.server(), board.board_keys()
    for _ in range(TRIES):
        members = server.todo(keys)
        if not members:
            return
        refresh(board, members, only_todo=True)


def refresh_counted(board: Leaderboard, members: Sequence[bytes]) -> None:
    """Refresh members that were counted for and that the board did not have.

    Counted they are, whatever comes of this: the next flush looks at those that are left.
    """
    try:
        refresh(board, members, only_todo=True)
    except (StoreUnavailable, DatabaseError, InterfaceError) as error:
        level, held_back = seldom(logging.WARNING, "board_behind", board.name)
        logger.log(
            level,
            "%s lacks rows until the next flush: %s",
            board.name,
            error,
            extra=event("board_behind", buffer=board.name, error=str(error), held_back=held_back),
        )


def refresh_or_note(board: Leaderboard, members: Sequence[bytes]) -> None:
    """Refresh after a commit, where nobody can be told what went wrong."""
    try:
        try:
            refresh(board, members)
        except StoreUnavailable:
            unseen.note(board)
    except PolicyError:
        return  # There is no server, so there is no board.
    except (DatabaseError, InterfaceError) as error:
        logger.error(
            "%s could not be told of rows that were written: %s. Call rebuild().",
            board.name,
            error,
            extra=event("board_untold", buffer=board.name, error=str(error)),
        )


def refresh_at_commit(board: Leaderboard, members: Iterable[bytes]) -> None:
    """Refresh when the open transaction has committed."""
    connection = connections[board.alias]
    callback = _AtCommit(board)
    savepoints = set(connection.savepoint_ids)
    for each in reversed(connection.run_on_commit):
        other: object = each[1]
        if isinstance(other, _AtCommit) and other.is_like(callback) and each[0] == savepoints:
            other.members.update(dict.fromkeys(members))
            return
    callback.members.update(dict.fromkeys(members))
    register(connection, callback)


class _AtCommit:
    """The callback of one board and savepoint: many saves are one look."""

    def __init__(self, board: Leaderboard) -> None:
        config = conf.config()
        self.board = board
        self.tenant = config.current_tenant() if config.tenant is not None else None
        self.members: dict[bytes, None] = {}

    def is_like(self, other: _AtCommit) -> bool:
        return self.board is other.board and self.tenant == other.tenant

    def __call__(self) -> None:
        with as_tenant(self.tenant):
            refresh_or_note(self.board, list(self.members))


def settle(board: Leaderboard) -> None:
    """In a `TestCase`, whose transaction never commits, refresh what a block has written."""
    connection: Any = connections[board.alias]
    if not state.in_testcase(connection) or state.in_transaction(connection):
        return
    waiting = [each for each in connection.run_on_commit if isinstance(each[1], _AtCommit)]
    for each in waiting:
        connection.run_on_commit.remove(each)
        each[1]()
