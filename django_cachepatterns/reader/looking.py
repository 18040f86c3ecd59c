"""Looking: entries and their tags are read in one round trip, and sorted by what they say."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter_ns
from typing import Generic, TypeVar

from .. import conf, entry, hooks, metrics
from ..clock import Clock
from ..exceptions import CodecError, StoreUnavailable
from ..log_events import event, seldom, shown
from ..metrics.timing import Call, Meter
from ..sources import Source
from ..stampede.lease import is_lease
from ..steps import Script
from ..stores.base import Store
from .entries import ABSENT, Found, Looked, Sorted, is_current, is_mark

logger = logging.getLogger("django_cachepatterns")

Key = TypeVar("Key")
Value = TypeVar("Value")


class Looking(Generic[Key, Value]):
    """Looks at entries of one source in one store."""

    def __init__(self, source: Source[Key, Value], store: Store, clock: Clock) -> None:
        self.source = source
        self.store = store
        self.clock = clock
        self.meter = Meter(source.name)
        self.measures = conf.config().measures
        self.seen_tags: dict[bytes, bytes | None] = {}
        """The tags as the last look found them; for a reader that only one thread has."""

    def failed(self, error: StoreUnavailable) -> None:
        """Count and log that the store did not answer."""
        metrics.count(self.source.name, "error")
        name = self.source.name
        level, held_back = seldom(logging.WARNING, "cache_unavailable", name)
        logger.log(
            level,
            "Reading %s from the database: %s",
            name,
            error,
            extra=event("cache_unavailable", family=name, error=str(error), held_back=held_back),
        )

    def _names(self, asked: Sequence[Key]) -> list[bytes]:
        """The keys of entries, and after them those of the tags that they depend on."""
        source = self.source
        names = [source.entry_key(key) for key in asked]
        tags = dict.fromkeys(tag for key in asked for tag in source.tags(key))
        return [*names, *tags]

    def _look(
        self,
        asked: Sequence[Key],
        values: Found,
        given: Looked | None = None,
    ) -> Script[Sorted[Key]]:
        """Read entries and tags in one round trip, unless they are given."""
        names = self._names(asked) if given is None or len(given.found) > len(asked) else ()
        found, epoch = (yield partial(self._get, names)) if given is None else given
        self.seen_tags = tags = dict(zip(names[len(asked) :], found[len(asked) :], strict=True))
        return self._sort(asked, Looked(found[: len(asked)], epoch), tags, values)

    def _get(self, names: Sequence[bytes]) -> Looked:
        """What keys hold, in one round trip."""
        found = self.store.get_many(names)
        return Looked(found, self.store.epoch)

    def _sort(
        self,
        asked: Sequence[Key],
        looked: Looked,
        tags: Mapping[bytes, bytes | None],
        values: Found,
    ) -> Sorted[Key]:
        found, epoch = looked
        todo: Sorted[Key] = Sorted(epoch)
        start = entry.head(entry.VALUE, self.source.fingerprint, epoch)
        nothing = entry.head(entry.NEGATIVE, self.source.fingerprint, epoch)
        for key, data in zip(asked, found, strict=True):
            current = [tags.get(tag) for tag in self.source.tags(key)]
            if any(tag is not None and is_mark(tag) for tag in current):
                todo.marked.append(key)
            elif data is None:
                todo.missing.append(key)
            elif data.startswith(start):
                self._decode(key, data, data, current, values, todo)
            elif data.startswith(nothing):
                todo.negative.append((key, data))
            elif is_lease(data):
                todo.leased.append(key)
            elif is_mark(data):
                todo.marked.append(key)
            elif data[:1] == entry.REFRESH and data[entry.REFRESH_SIZE :].startswith(start):
                self._decode(key, data, data[entry.REFRESH_SIZE :], current, values, todo)
            else:
                self._useless(key, data, todo)
        return todo

    def _decode(
        self,
        key: Key,
        data: bytes,
        value: bytes,
        tags: Sequence[bytes | None],
        values: Found,
        todo: Sorted[Key],
    ) -> None:
        """A value, as long as it was loaded under the versions that its tags have now."""
        if not is_current(value, tags):
            metrics.count(self.source.name, "outdated")
            todo.useless.append((key, data))
            return
        try:
            values[key] = self.source.decode(entry.payload_of(value))
        except CodecError:
            self._useless(key, data, todo)
            return
        values.size += len(data)
        values.outcomes[key] = self._hit(key, data, value, todo)

    def _useless(self, key: Key, data: bytes, todo: Sorted[Key]) -> None:
        """An entry of another schema or server is a plain miss; anything else is corrupt."""
        value = entry.being_refreshed(data)[1] if data[:1] == entry.REFRESH else data
        parts = entry.unpack(value)
        same = parts is not None and parts[0].fingerprint == self.source.fingerprint
        if parts is None or (same and parts[0].epoch == todo.epoch):
            metrics.count(self.source.name, "corrupt")
            self._say_corrupt(shown(self.source.entry_key(key)))
        todo.useless.append((key, data))

    def _say_corrupt(self, key: str) -> None:
        family = self.source.name
        level, held_back = seldom(logging.WARNING, "corrupt_entry", family)
        logger.log(
            level,
            "Cache entry %s is not one; it is loaded again.",
            key,
            extra=event("corrupt_entry", family=family, key=key, held_back=held_back),
        )

    def _check_negatives(self, todo: Sorted[Key], values: Found) -> Script[None]:
        if not todo.negative:
            return
        source = self.source
        negative, todo.negative = todo.negative, []
        names = [source.tag] if source.tag else []
        names += dict.fromkeys(tag for key, _ in negative for tag in source.tags(key))
        found = yield partial(self.store.get_many, names)
        tags = dict(zip(names, found, strict=True))
        for key, data in negative:
            current = [tags.get(name) for name in self._depends(key)]
            if source.tag and is_current(data, current):
                values[key] = ABSENT
                values.size += len(data)
                values.outcomes[key] = "negative"
            else:
                metrics.count(source.name, "outdated")
                todo.useless.append((key, data))

    def _depends(self, key: Key) -> tuple[bytes, ...]:
        """The tags of a negative entry."""
        tag = self.source.tag
        return (tag, *self.source.tags(key)) if tag is not None else self.source.tags(key)

    def _peeking(
        self, asked: Sequence[Key], given: Looked | None = None
    ) -> Script[dict[Key, Value]]:
        values = Found(Call())
        try:
            # Nothing is loaded, stale or not.
            yield from Looking._look(self, asked, values, given)
            values.become("miss", (key for key in asked if key not in values))
        except StoreUnavailable as error:
            self.failed(error)
            values.become("outage", asked)
        self.note(values, is_call=given is None and len(values) == len(asked))
        return values

    def _hit(self, key: Key, data: bytes, value: bytes, todo: Sorted[Key]) -> str:
        """A value was found: `data` is the entry, `value` what it serves. Gives the outcome."""
        return "hit"

    def tell(self, names: Sequence[bytes], began: int, outcome: str = "hit") -> None:
        """Tell the hooks of keys that all have become the same.

        Args:
            names: the keys of their entries.
            began: when, in nanoseconds of `perf_counter_ns()`; 0: nobody knows.
        """
        seconds = (perf_counter_ns() - began) / 1e9 if began else 0.0
        outcomes = (outcome,) * len(names)
        read = hooks.Read(self.source.name, self.source, tuple(names), outcomes, seconds)
        for hook in hooks.after_read:
            hook(read)

    def note(self, values: Found, *, is_call: bool) -> None:
        """Count what has become of the keys of a read that is over.

        Args:
            is_call: whether the call is over, too.
        """
        if values.call.held is not None:
            values.call.held[self] = values
            return
        name, outcomes = self.source.name, values.outcomes
        if not outcomes:
            return  # Cancelled while another loaded it: nothing was served, and no query saved.
        kinds, times = list(outcomes.values()), is_call and self.measures
        if times and kinds == ["hit"] and not values.call.loaded:
            self.meter.hit(values.call.began, values.size, self.source.entry_key(*outcomes))
        else:
            for outcome in {*kinds}:
                metrics.count(name, outcome, kinds.count(outcome))
            if values.size:
                metrics.count(name, "read_bytes", values.size)
            if times:
                keys = map(self.source.entry_key, outcomes)
                self.meter.took(values.call.kind, values.call.began, keys)
        if hooks.after_read:
            names = tuple(map(self.source.entry_key, outcomes))
            seconds = (perf_counter_ns() - values.call.began) / 1e9
            read = hooks.Read(name, self.source, names, tuple(kinds), seconds)
            for hook in hooks.after_read:
                hook(read)
