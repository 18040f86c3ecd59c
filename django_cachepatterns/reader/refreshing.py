"""Refreshing: stale values are served while they are loaded anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from django.core import mail

from .. import entry, metrics
from ..clock import Clock
from ..log_events import event, shown
from ..metrics.timing import Call
from ..sources import Source
from ..stampede import revalidate
from ..stampede.early import is_due
from ..steps import Database, Script, arun, run
from ..stores.base import Store
from .entries import ABSENT, Found, Looked, Sorted
from .loading import Loading, Token
from .looking import Key, Value

logger = logging.getLogger("django_cachepatterns")

_REFRESHING = frozenset({"stale_while_revalidate", "early_refresh"})


class Refreshing(Loading[Key, Value]):
    """Serves stale values, and has them refreshed."""

    def __init__(self, source: Source[Key, Value], store: Store, clock: Clock) -> None:
        super().__init__(source, store, clock)
        self._refreshes = source.policy.stampede in _REFRESHING

    def refresh_stale(self, asked: Key) -> bool:
        """Load one key anew if it is there, past its soft expiry, and nobody else is at it."""
        return run(self._refreshing_stale(asked), self.source.load)

    async def arefresh_stale(self, asked: Key) -> bool:
        """The same in a coroutine."""
        return await arun(self._refreshing_stale(asked), self.source.aload)  # type: ignore[attr-defined]

    def _hit(self, key: Key, data: bytes, value: bytes, todo: Sorted[Key]) -> str:
        if not self._refreshes or not self._is_stale(data, value):
            return super()._hit(key, data, value, todo)
        todo.stale.append((key, data))
        return "stale_hit"

    def _look(
        self,
        asked: Sequence[Key],
        values: Found,
        given: Looked | None = None,
    ) -> Script[Sorted[Key]]:
        todo = yield from super()._look(asked, values, given)
        if not todo.stale:
            return todo
        if not (yield from self._refreshes_itself()):
            for key, _ in todo.stale:
                revalidate.later(self, key)
            return todo
        for key, data in todo.stale:
            if not self._may_fill(key):
                continue  # It may have seen what others must not.
            # This reader loads; those who come meanwhile get the old value.
            try:
                values.update((yield from self._refresh_over(key, data, values.call)) or {})
            except Exception:
                # The loader is the user's: whatever it raises, the old value is served on.
                name = shown(self.source.entry_key(key))
                logger.exception(
                    "Could not refresh %s; it stays stale.",
                    name,
                    extra=event("refresh_failed", family=self.source.name, key=name),
                )
        return todo

    def _refreshes_itself(self) -> Script[bool]:
        """Whether this reader is to refresh what it found stale."""
        if self.source.policy.refresh == "inline":
            return True
        return hasattr(mail, "outbox") and bool((yield Database(revalidate.is_under_test)))

    def _soft_expiry(self, ttl: int) -> int:
        """Milliseconds since 1970 from which a value that lives for `ttl` ms is stale; 0: never."""
        policy = self.source.policy
        if not self._refreshes:
            return 0
        after = policy.soft_ttl * 1000 if policy.soft_ttl else ttl
        return int(self.clock.time() * 1000 + min(after, ttl))

    def may_be_stale(self, data: bytes) -> bool:
        """Whether a value entry is so old that a reader might have to refresh it."""
        soft_expiry, cost = entry.soft_expiry_and_cost(data)
        # Twenty times the cost: earlier than that, XFetch refreshes once in 10^8 reads.
        early = cost / 50 * self.source.policy.beta
        if self.source.policy.stampede != "early_refresh":
            early = 0.0
        return soft_expiry != 0 and self.clock.time() * 1000 + early >= soft_expiry

    def _is_stale(self, data: bytes, value: bytes) -> bool:
        """Whether a value should be refreshed, and nobody is at it."""
        soft_expiry, cost = entry.soft_expiry_and_cost(value)
        now = self.clock.time() * 1000
        if soft_expiry == 0 or (data[:1] == entry.REFRESH and entry.being_refreshed(data)[0] > now):
            return False
        if self.source.policy.stampede == "early_refresh":
            return is_due(now, soft_expiry, cost / 1000, self.source.policy.beta)
        return now >= soft_expiry

    def _refreshing_stale(self, asked: Key) -> Script[bool]:
        """What a background refresh does: it looks, takes the lease, and only then loads."""
        names = self._names([asked])
        found, epoch = yield partial(self._get, names)
        data = found[0]
        if data is None or data[:1] not in (entry.VALUE, entry.REFRESH):
            return False
        value = data[entry.REFRESH_SIZE :] if data[:1] == entry.REFRESH else data
        start = entry.head(entry.VALUE, self.source.fingerprint, epoch)
        if not value.startswith(start):
            return False
        if self.source.policy.stampede != "early_refresh" and not self._is_stale(data, value):
            return False
        return bool((yield from self._refresh_over(asked, data, Call())))

    def _refresh_over(self, asked: Key, seen: bytes, call: Call) -> Script[dict[Key, Value] | None]:
        """Load under a refresh lease; `None` where the entry is no more as it was seen."""
        source = self.source
        ttl = int(source.policy.lease_ttl * 1000)
        token = entry.new_token()
        refresh = entry.refresh_lease(token, int(self.clock.time() * 1000) + ttl)
        tags, fresh = source.tags(asked), entry.tag(entry.new_token())
        key = source.entry_key(asked)

        def take() -> tuple[bool, list[bytes], bytes]:
            taken, current = self.store.lease_refresh(key, seen, refresh, tags, fresh)
            return taken, current, self.store.epoch

        taken, current, epoch = yield take
        if not taken:
            return None
        held = Token(token, refresh[: 1 + entry.TOKEN_SIZE], epoch)
        held.tags = dict(zip(tags, current, strict=True))
        metrics.count(source.name, "refresh")
        values = Found(call)
        yield from self._load([asked], [], held, values)
        return {key: value for key, value in values.items() if value is not ABSENT}
