"""Describing one key: what it holds, how old it is, and whether a reader would be given it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import conf, entry
from ..exceptions import CodecError
from ..reader import is_mark
from ..stampede.lease import is_lease
from ..stores import RedisInspector, inspector_of
from ..stores.inspector import Looked
from . import ages, names
from .dependencies import candidates, is_sure, resolved
from .described import Dependency, Described, Writer
from .families import family_of
from .names import Name, name_of
from .payloads import decoded, model_of, source_of
from .plain import plain
from .secrets import STARS, is_secret_of, without_secrets

SHOWN = 50
"""Items of a buffer or a list that are shown."""


def describe(key: str | bytes) -> Described:
    """What stands under a key, in two round trips. Nothing is changed.

    Raises `UnknownKey` for one that is not the library's, `StoreUnavailable` where its server is
    away, and `PolicyError` where the settings name none.
    """
    config = conf.config()
    name = name_of(key, config.values["KEY_PREFIX"])
    on_buffers = name.kind == names.BUFFER
    server = inspector_of(config, "BUFFER_CACHE" if on_buffers else "CACHE")
    looked = server.look(name.raw)
    data = looked.data
    said = Described(
        name.key,
        family_of(name, data),
        name.kind,
        "gone",
        name.tenant,
        name.database if name.is_of_model else None,
        None if data is None else len(data),
        looked.memory,
        None if looked.ttl is None else looked.ttl / 1000,
    )
    if looked.kind == "none":
        return said
    if data is None:
        return _collection(said, looked, server)
    if name.kind in (names.METRICS, names.BUFFER, names.OTHER, names.WAKE, names.WAITING):
        return replace(said, state="data", payload=plain(data))
    return _entry(said, name, looked, data, server)


def _collection(said: Described, looked: Looked, server: RedisInspector) -> Described:
    """A hash, list, set or sorted set: a buffer, or somebody's own."""
    number, found = server.contents(said.key.encode(), looked.kind, SHOWN)
    state = "data" if said.kind not in names.ENTRIES | names.TAGS else "other"
    problem = None if state == "data" else f"It is a {looked.kind}; the library writes strings."
    return replace(said, state=state, size=number, problem=problem, payload=plain(found))


def _entry(
    said: Described, name: Name, looked: Looked, data: bytes, server: RedisInspector
) -> Described:
    if is_mark(data):
        return _mark(said, looked, data)
    if is_lease(data):
        source = source_of(name, data)
        age = ages.since(looked, None if source is None else source.policy.lease_ttl)
        return replace(said, state="lease", age=age, is_served=False, problem="It is being loaded.")
    if entry.is_tag(data):
        age = ages.since(looked, ages.TAG_TTL)
        return replace(said, state="tag", age=age, payload={"version": data[1:].hex()})
    value = entry.being_refreshed(data)[1] if data[:1] == entry.REFRESH else data
    parts = entry.unpack(value)
    if parts is None or name.kind not in names.ENTRIES:
        problem = "It is not an entry of the library's; a reader loads it anew."
        return replace(said, state="other", is_served=False, problem=problem, payload=plain(data))
    return _value(said, name, looked, data, parts, server)


def _mark(said: Described, looked: Looked, data: bytes) -> Described:
    writers = tuple(
        Writer(ident.hex(), max(0.0, (deadline - looked.now) / 1000))
        for ident, deadline in entry.writers_of(data)
    )
    problem = "Transactions are writing it; readers go to the database."
    return replace(said, state="mark", writers=writers, is_served=False, problem=problem)


def _value(
    said: Described,
    name: Name,
    looked: Looked,
    data: bytes,
    parts: tuple[entry.Header, bytes],
    server: RedisInspector,
) -> Described:
    header, payload = parts
    source = source_of(name, data)
    tags = candidates(name, source, data) if header.versions else []
    found = server.store.get_many(tags)
    depends = resolved(tags, found, header.versions, is_sure(name, source))
    problem = _problem(header, source, depends, server.store.epoch)
    negative, shown = header.state == entry.NEGATIVE, None
    if not negative:
        try:
            shown = _shown(name, source, decoded(source, payload))
        except CodecError as error:
            problem = problem or f"It cannot be decoded ({error}); a reader loads it anew."
    # In an absence that field has no meaning, and an auditor may have used it.
    stale_at = 0 if negative else header.soft_expiry
    soft_ttl = (stale_at - looked.now) / 1000 if stale_at else None
    age = ages.of_value(looked, header, None if source is None else source.policy)
    return replace(
        said,
        state=_state(data, negative, soft_ttl),
        soft_ttl=soft_ttl,
        cost=header.cost / 1e6 if header.cost else None,
        age=age[0] if age is not None and age[1] - age[0] < ages.EXACT else None,
        age_between=age,
        depends_on=depends,
        is_served=False if problem else _is_served(source, depends),
        problem=problem,
        payload=shown,
    )


def _state(data: bytes, negative: bool, soft_ttl: float | None) -> str:
    if negative:
        return "negative"
    if data[:1] == entry.REFRESH:
        return "refreshing"
    return "stale" if soft_ttl is not None and soft_ttl <= 0 else "value"


def _shown(name: Name, source: Any, value: Any) -> Any:
    if name.kind == names.LOOKUP:
        is_hidden = source is not None and is_secret_of(model_of(name), source.owner.pk.attname)
        return {"pk": STARS if is_hidden else plain(value)}
    return without_secrets(plain(value), model_of(name) if name.is_of_model else None)


def _problem(
    header: entry.Header, source: Any, depends: Sequence[Dependency], epoch: bytes
) -> str | None:
    """Why no reader would be given it; `None` where nothing is known against it."""
    if header.epoch != epoch:
        return "It is of another run of the server; a reader loads it anew."
    if source is not None and header.fingerprint != source.fingerprint:
        return "It was written under another schema or version; a reader loads it anew."
    if any(each.is_written for each in depends):
        return "What it depends on is being written; readers go to the database."
    if any(each.holds is False for each in depends):
        return "What it depends on has changed; a reader loads it anew."
    return None


def _is_served(source: Any, depends: Sequence[Dependency]) -> bool | None:
    if source is None or any(each.holds is None for each in depends):
        return None
    return True
