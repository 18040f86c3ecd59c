"""Leaderboards on Redis or Valkey: sorted sets beside the batches of a buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, RedisError

from ..exceptions import OutcomeUnknown, StoreUnavailable
from ..keys import BufferKeys
from .buffers import LARGEST, RedisBuffers, _new_id, _pack, _replied, _unavailable
from .scripts import script

NOBODY = b"\xff"
"""The last member of every board, and no text in UTF-8."""
UNKNOWN = 2
"""What the script `score` answers where the board does not have all members."""

_REBUILD = b"rebuild:"
_TRIES = 3


class BoardKeys:
    """The keys of one board, beside those of its buffer.

    Args:
        buffer: the buffer's.
    """

    __slots__ = ("board", "buffer", "current", "look", "new", "shared", "todo")

    def __init__(self, buffer: BufferKeys) -> None:
        self.buffer = buffer
        self.board = buffer.board + b":"
        """What the board's key begins with; the server's epoch follows."""
        self.current = buffer.board + b"~current"
        """Where the key of the board is kept."""
        self.new = buffer.board + b"~new:"
        """What the key of a board that is being built begins with; the claim's token follows."""
        self.todo = buffer.board + b"~todo"
        """Members that have to be looked at in the database."""
        self.look = buffer.board + b"~look"
        """The number of the last look."""
        self.shared = (self.board, self.todo, buffer.board + b"~removed", buffer.claim)
        """Those that every script of boards takes, see `scores.lua`."""


class Rules(NamedTuple):
    """How a board ranks.

    Args:
        order: `desc` or `asc`.
        removed: the score of a row that was removed; empty: none.
    """

    order: bytes
    removed: bytes


class Look(NamedTuple):
    """What waits for some members, at one moment.

    Args:
        active: the id of the active batch.
        number: of this look.
        members: which.
        batches: for each sealed batch, oldest first, its id and its changes of the members.
    """

    active: bytes
    number: int
    members: Sequence[bytes]
    batches: Sequence[tuple[str, Sequence[bytes | None]]]


class Rebuild(NamedTuple):
    """A board that is being built.

    Args:
        token: of its claim.
        key: where it is built.
        epoch: of the server.
        batches: the ids of the sealed batches that it will have, oldest first.
    """

    token: bytes
    key: bytes
    epoch: bytes
    batches: Sequence[str]


class RedisBoards(RedisBuffers):
    """Boards, and their buffers, on the server of a store. Raises as `RedisBuffers` does."""

    def rank(self, keys: BoardKeys, member: bytes) -> int | None:
        """The place of a member, from 0; `None` where it has none, or there is no board."""
        place: int | None = self._of_epoch(keys, lambda board: _pack((b"ZRANK", board, member)))
        return place

    def ask(self, keys: BoardKeys, *arguments: bytes) -> list[Any] | None:
        """Read a board by `board_read.lua`; `None` where there is none."""
        each = script("board_read")
        found: list[Any] | None
        try:
            found = self._of_epoch(
                keys, lambda board: _pack((b"EVALSHA", each.sha, b"1", board, *arguments))
            )
        except NoScriptError:
            found = self._of_epoch(
                keys, lambda board: _pack((b"EVAL", each.source, b"1", board, *arguments))
            )
        return found

    def drop(self, keys: BoardKeys) -> None:
        """Drop a board, so that the next read rebuilds it."""
        self._of_epoch(keys, lambda board: _pack((b"UNLINK", board)))

    def begin_look(
        self, keys: BoardKeys, rules: Rules, members: Sequence[bytes], *, only_todo: bool
    ) -> Look | None:
        """Begin to look members up in the database; `None` where there is nothing to look for.

        Args:
            members: at most `LARGEST`.
            only_todo: leave out those of which the board knows.
        """
        arguments = (b"1" if only_todo else b"0", *members)
        found = self._scripted("board_look", keys, rules, (keys.look,), arguments)
        if not found or not found[2]:
            return None
        active, number, chosen, batches = found
        return Look(
            active, int(number), chosen, [(batch.decode(), texts) for batch, *texts in batches]
        )

    def end_look(
        self, keys: BoardKeys, rules: Rules, look: Look, scores: Mapping[bytes, bytes]
    ) -> bool:
        """Put what was found on the board. Returns whether it was not too late for that.

        Args:
            scores: by member; empty: none, `x`: there is no such row.
        """
        pairs = chain.from_iterable(scores.items())
        arguments = (look.active, b"%d" % look.number, *pairs)
        return bool(self._scripted("board_install", keys, rules, (), arguments))

    def todo(self, keys: BoardKeys) -> list[bytes]:
        """Some of the members that have to be looked at."""
        return list(self._call(_pack((b"HRANDFIELD", keys.todo, b"%d" % LARGEST))))

    def add_todo(self, keys: BoardKeys, members: Iterable[bytes]) -> None:
        """Have members looked at, when the board is built."""
        for some in _parts(members):
            pairs = chain.from_iterable((member, b"0") for member in some)
            self._call(_pack((b"HSET", keys.todo, *pairs)))

    def claim_rebuild(self, keys: BoardKeys, token: bytes, ttl: int) -> bool:
        """Claim the flushing of the buffer for a rebuild. Returns whether it is claimed.

        Args:
            ttl: milliseconds.
        """
        return self.claim(keys.buffer, _REBUILD + token, ttl, in_pause=True)

    def unclaim_rebuild(self, keys: BoardKeys, token: bytes) -> None:
        """Give that claim up."""
        self.unclaim(keys.buffer, _REBUILD + token)

    def begin_board(self, keys: BoardKeys, token: bytes, ttl: int) -> Rebuild:
        """Seal what waits, and make an empty board, under the claim.

        Args:
            ttl: milliseconds after which it lapses, unless `renew` says otherwise.
        """
        each = script("board_begin")
        new = keys.new + token.hex().encode()
        found, epoch = self._tried(
            lambda command, body, epoch: _pack(
                (
                    *(command, body, b"4", *keys.buffer.batches, new),
                    *(keys.buffer.sealed, _new_id(), epoch, b"0", b"%d" % ttl),
                )
            ),
            each.sha,
            each.source,
        )
        return Rebuild(token, new, epoch, [batch.decode() for batch in found])

    def renew(self, keys: BoardKeys, rebuild: Rebuild, ttl: int) -> bool:
        """Hold the claim of a rebuild for longer. Returns whether it still stands."""
        arguments = [_REBUILD + rebuild.token, b"%d" % ttl]
        return bool(self._run("board_renew", [keys.buffer.claim, rebuild.key], arguments))

    def add(self, rebuild: Rebuild, scores: Iterable[tuple[bytes, bytes]]) -> None:
        """Put members on a board that is being built.

        Args:
            scores: as they are stored, and members.
        """
        for some in _parts(scores):
            self._call(_pack((b"ZADD", rebuild.key, *chain.from_iterable(some))))

    def finish(self, keys: BoardKeys, rules: Rules, rebuild: Rebuild) -> bool:
        """Put a new board in the place of the old one. Returns whether nothing stood against it."""
        arguments = (
            *(rebuild.token, rebuild.epoch),
            *(batch.encode() for batch in rebuild.batches),
        )
        more = (rebuild.key, keys.current)
        return bool(self._scripted("board_finish", keys, rules, more, arguments, tries=1))

    def abandon(self, rebuild: Rebuild) -> None:
        """Drop a board that is not to be finished."""
        self._call(_pack((b"UNLINK", rebuild.key)))

    def _of_epoch(self, keys: BoardKeys, pack: Callable[[bytes], bytes]) -> Any:
        """Send a command that names the board of this run of the server."""
        channel = self._store.channel
        for _ in range(_TRIES):
            epoch = channel.epoch
            try:
                reply = channel.call(pack(keys.board + epoch.hex().encode()))
            except NoScriptError:
                raise
            except RedisError as error:
                raise _unavailable(error) from error
            if channel.epoch == epoch:
                return reply
        raise StoreUnavailable("The server was restarted again and again.")

    def _scripted(
        self,
        name: str,
        keys: BoardKeys,
        rules: Rules,
        more_keys: Sequence[bytes],
        arguments: Sequence[bytes],
        tries: int = _TRIES,
    ) -> Any:
        each = script(name)
        every = (*keys.buffer.batches, keys.buffer.operation, *keys.shared, *more_keys)
        start = (b"%d" % len(every), *every, keys.buffer.sealed)
        end = (b"0", b"0", b"0", *rules, *arguments)
        reply, _ = self._tried(
            lambda command, body, epoch: _pack((command, body, *start, _new_id(), epoch, *end)),
            each.sha,
            each.source,
            tries,
        )
        return reply

    def _tried(
        self,
        pack: Callable[[bytes, bytes, bytes], bytes],
        sha: bytes,
        source: bytes,
        tries: int = _TRIES,
    ) -> tuple[Any, bytes]:
        """Run a script that may be run again, and is told the epoch. Gives that, too."""
        told = b""

        def packed(command: bytes, body: bytes) -> Callable[[bytes], bytes]:
            def with_epoch(epoch: bytes) -> bytes:
                nonlocal told
                told = epoch
                return pack(command, body, epoch)

            return with_epoch

        for left in reversed(range(tries)):
            try:
                reply = self._once(packed(b"EVALSHA", sha))
                if isinstance(reply, NoScriptError):
                    reply = self._once(packed(b"EVAL", source))
                return _replied(reply), told
            except OutcomeUnknown as error:
                if not left:
                    raise StoreUnavailable(f"{error}") from error
        raise AssertionError("unreachable")


def _parts(items: Iterable[Any]) -> Iterable[list[Any]]:
    each = iter(items)
    return iter(lambda: list(islice(each, LARGEST)), [])
