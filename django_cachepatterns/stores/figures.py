"""Where the figures of all processes come together: on the server of the entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..exceptions import StoreUnavailable
from ..keys import MetricsKeys
from .redis import RedisStore
from .scripts import script

Fields = dict[str, int]
"""Numbers by field, which is the name of what is counted, `|`, and the family."""


ENOUGH = 20_000
"""Figures of minutes in one answer: the server is not held up for longer than by a page or two."""


class Figures(NamedTuple):
    """Figures as they were at one moment.

    Args:
        rolled: the first minute that is not rolled up; 0: none is.
        minute: the minute that it is.
        next: the minute to go on with, where there were too many figures for one answer; else 0.
        minutes: those from there on that were asked for, by the number of the minute.
        blocks: the hashes that were asked for, or their one field.
    """

    rolled: int
    minute: int
    next: int
    minutes: dict[int, Fields]
    blocks: list[Any]


class Put(NamedTuple):
    """A field of a hash that is written, and the seconds for which the hash is kept."""

    key: bytes
    keep: int
    field: bytes
    value: bytes


class RedisFigures:
    """Figures on the server of a store. Every method raises `StoreUnavailable`.

    Args:
        store: where.
        keys: under which keys.
    """

    def __init__(self, store: RedisStore, keys: MetricsKeys) -> None:
        self._store, self._keys = store, keys

    def add(
        self,
        sender: bytes,
        number: int,
        figures: Mapping[str, int],
        hot: Mapping[bytes, int],
        now: float | None = None,
    ) -> int:
        """Add what a process has counted. The same number is added once, however often it is sent.

        Args:
            sender: the token of the process.
            number: of what it sends; another one each time.
            figures: by field.
            hot: by key.
            now: when it was, instead of the server's clock.

        Returns for how many minutes nothing was rolled up; 0 where it was added before.
        """
        # Families may be named by what comes with a request: what is no text is sent all the same.
        pairs = [(name.encode(errors="replace"), b"%d" % by) for name, by in figures.items()]
        pairs += [(key, b"%d" % by) for key, by in hot.items()]
        arguments = (
            *(b"%d" % number, self._keys.raw, self._keys.hot, _seconds(now)),
            b"%d" % len(figures),
            *chain.from_iterable(pairs),
        )
        own = self._keys
        keys = [own.sent + sender, own.ever, own.rolled, own.fragments, own.families]
        return int(self._run("metrics_add", keys, arguments))

    def ever(self) -> Fields:
        """What all processes have sent since the server has had anything of it. It only grows, but
        for a server that has lost it: then it begins anew.
        """
        return _numbers(self._store.command(b"HGETALL", self._keys.ever))

    def read(
        self,
        since: int,
        keys: Sequence[bytes] = (),
        field: str | None = None,
        now: float | None = None,
        most: int = ENOUGH,
    ) -> Figures:
        """Read figures: minutes that are not rolled up, and hashes of those that are.

        Args:
            since: the second from which on minutes are asked for.
            keys: of the hashes.
            field: the only one that is asked for.
            now: instead of the server's clock.
            most: figures of minutes that are enough for one answer, the oldest first.
        """
        only = b"" if field is None else b":" + field.encode()
        arguments = (
            *(self._keys.raw, self._keys.rolled, b"%d" % since, _seconds(now)),
            *(b"%d" % most, only),
        )
        rolled, last, following, minutes, blocks = self._run("metrics_read", keys, arguments)
        return Figures(
            int(rolled),
            int(last),
            int(following),
            {int(minute): _numbers(found) for minute, found in minutes},
            blocks if field is not None else [_pairs(found) for found in blocks],
        )

    def roll(self, seen: int, rolled: int, minutes: Iterable[int], puts: Iterable[Put]) -> bool:
        """Put minutes that were rolled up in their place.

        Args:
            seen: the first minute that was not rolled up, as it was read.
            rolled: that minute now.
            minutes: which are dropped.
            puts: what is written.

        Returns whether nobody else was first.
        """
        dropped = [self._keys.raw + b"%d" % minute for minute in minutes]
        fours = ((put.key, b"%d" % put.keep, put.field, put.value) for put in puts)
        arguments = (
            *(b"%d" % seen, b"%d" % rolled, b"%d" % len(dropped)),
            *dropped,
            *chain.from_iterable(fours),
        )
        return bool(self._run("metrics_roll", [self._keys.rolled], arguments))

    def claim_roll(self, seconds: int) -> bool:
        """Whether nobody else has claimed to roll up within some seconds."""
        key = self._keys.rolled + b"~claim"
        reply = self._store.command(b"SET", key, b"1", b"NX", b"EX", b"%d" % seconds)
        return reply is not None

    def hottest(self, hours: Iterable[int], limit: int) -> dict[bytes, int]:
        """Sampled keys and how often they were asked for, of some hours."""
        found: dict[bytes, int] = {}
        for hour in hours:
            key = self._keys.hot + b"%d" % hour
            reply = self._store.command(
                b"ZRANGE", key, b"0", b"%d" % (limit - 1), b"REV", b"WITHSCORES"
            )
            for member, score in _scored(reply):
                found[member] = found.get(member, 0) + int(float(score))
        return found

    def time(self) -> float:
        """The server's clock, in seconds since the epoch."""
        seconds, micros = self._store.command(b"TIME")
        return int(seconds) + int(micros) / 1e6

    def _run(self, name: str, keys: Sequence[bytes], arguments: Iterable[bytes]) -> Any:
        return self._store.run(script(name), keys, tuple(arguments))


def _seconds(now: float | None) -> bytes:
    return b"" if now is None else b"%d" % now


def _pairs(flat: Any) -> dict[bytes, bytes]:
    if isinstance(flat, dict):
        return flat
    if not isinstance(flat, list):
        raise StoreUnavailable("The figures on the server are not what they should be.")
    each = iter(flat)
    return dict(zip(each, each, strict=True))


def _numbers(flat: Any) -> Fields:
    return {name.decode(): int(number) for name, number in _pairs(flat).items()}


def _scored(reply: Any) -> list[tuple[bytes, Any]]:
    """Members with their scores: flat, or in pairs in the newer protocol."""
    if reply and isinstance(reply[0], list):
        return [(member, score) for member, score in reply]
    each = iter(reply)
    return list(zip(each, each, strict=True))
