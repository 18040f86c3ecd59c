"""The protocol, tried on the cache server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from .. import conf, entry
from ..exceptions import PolicyError, StoreUnavailable
from ..stores import RedisStore, store_of
from ..stores.redis import Lot, glob
from .finding import Finding, fine, wrong

ABOUT = "protocol"
LIFE = 10_000
"""Milliseconds that anything of the trial lives."""

Step = Callable[[RedisStore, bytes], bool]


def trial() -> Iterator[Finding]:
    """Do to a key of its own what is done to entries; whether the server does its part."""
    config = conf.config()
    try:
        store = store_of(config)
        store.get(b"")
    except (StoreUnavailable, PolicyError):
        return  # The server's part says so.
    key = f"{config.key_space().root}:trial:{entry.new_token().hex()}".encode()
    failed = [each for name, step in STEPS.items() for each in _tried(store, key, name, step)]
    with suppress(StoreUnavailable):  # Then it lapses.
        store.drop([key, key + b"~waiting", key + b"~wake"])
    yield from failed
    if not failed:
        steps = ", ".join(STEPS)
        yield fine(ABOUT, f"The server does all that is asked of it: {steps}.")


def _tried(store: RedisStore, key: bytes, name: str, step: Step) -> Iterator[Finding]:
    try:
        store.drop([key])
        done, why = step(store, key), "it has answered otherwise than it should"
    except StoreUnavailable as error:
        done, why = False, str(error)
    if not done:
        yield wrong(
            ABOUT,
            f"It cannot do this: {name} ({why}).",
            "Give its user the commands (see the reference of settings), and see that it is a "
            "Redis 7.0 or Valkey that may run scripts, and no replica or proxy.",
        )


def _fills(store: RedisStore, key: bytes) -> bool:
    token = entry.lease(entry.new_token())
    taken, _ = store.lease([key], token, LIFE)
    data = b"V" + bytes(31)
    return taken == [None] and store.fill([key], token, [data], [LIFE]) == [True]


def _refuses(store: RedisStore, key: bytes) -> bool:
    token, writer = entry.lease(entry.new_token()), entry.new_token()
    store.lease([key], token, LIFE)
    store.begin_write([key], writer, LIFE)
    refused = store.fill([key], token, [b"V" + bytes(31)], [LIFE]) == [False]
    return refused and store.end_write([key], writer) == 0 and store.get(key) is None


def _tags(store: RedisStore, key: bytes) -> bool:
    fresh = entry.tag(entry.new_token())
    _, (made,) = store.lease([], b"", LIFE, [key], fresh)
    return made == fresh and store.get(key) == fresh


def _warms(store: RedisStore, key: bytes) -> bool:
    lease, fresh = entry.lease(entry.new_token()), entry.tag(entry.new_token())
    ((states, _),) = store.warm([Lot([key], [], b"V")], lease, LIFE, fresh)
    done: list[Any] = []
    store.post_fill([key], lease, [b"V" + bytes(31), b"%d" % LIFE], done.append)
    store.settle()
    return states == b"L" and done == [[1]]


def _waits(store: RedisStore, key: bytes) -> bool:
    """Nothing is woken here; it is the right to wait that is tried."""
    store.lease([key], entry.lease(entry.new_token()), LIFE)
    store.wait([key], 0.01)
    return True


def _scans(store: RedisStore, key: bytes) -> bool:
    store.put(key, b"V", LIFE)
    return any(key in found for found in store.scan(glob(key)))


STEPS: dict[str, Step] = {
    "lease and fill": _fills,
    "refuse a fill after a write": _refuses,
    "tags": _tags,
    "wait for another's load": _waits,
    "warm": _warms,
    "scan": _scans,
}
