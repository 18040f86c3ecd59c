"""The ways in which sessions are written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import transaction

from ..ask import Ask
from ..hand import POISON, Hand, Regret
from .ground import KEYS, LAPSING, SESSION

REFUSED = (CreateError, UpdateError)


class SessionStyles:
    """Writes of the sessions of one engine.

    Args:
        hand: that of the writer.
        store: the engine.
        asks: questions to the engine.
    """

    def __init__(self, hand: Hand, store: Any, asks: Sequence[Ask]) -> None:
        self._hand = hand
        self._rng = hand.rng
        self._store = store
        self._asks = asks

    def by_name(self) -> Mapping[str, Callable[[], None]]:
        """All of them."""
        return {
            "session saved": self._save,
            "session saved in a transaction": self._save_atomic,
            "session saved, and rolled back": self._roll_back,
            "session saved in a savepoint, and rolled back": self._savepoint,
            "session read and saved": self._read_and_save,
            "session made": self._make,
            "session deleted": self._delete,
            "session key cycled": self._cycle,
            "session run out": self._run_out,
            "sessions cleared": self._clear,
        }

    def _save(self) -> None:
        self._session(self._any_key()).save()

    def _save_atomic(self) -> None:
        with transaction.atomic():
            self._session(self._any_key()).save()
            self._look()

    def _roll_back(self) -> None:
        with transaction.atomic():
            self._session(self._any_key(), POISON).save()
            self._look()
            raise Regret

    def _savepoint(self) -> None:
        key = self._any_key()
        with transaction.atomic():
            with self._hand.regretted():
                self._session(key, POISON).save()
                self._look()
            if self._rng.random() < 0.5:
                self._session(key).save()
            self._look()

    def _read_and_save(self) -> None:
        session = self._store(self._any_key())
        if not session.exists(session.session_key):
            return  # Its data would be saved under a new key.
        session["n"] = session.get("n", 0) + 1
        self._hand.pause()
        if session.session_key:
            session.save()

    def _make(self) -> None:
        for key in (*KEYS, *LAPSING):
            with contextlib.suppress(CreateError):
                self._session(key).save(must_create=True)

    def _delete(self) -> None:
        key = self._any_key()
        if self._rng.random() < 0.5:
            self._store(key).delete()
        else:
            self._store().delete(key)

    def _cycle(self) -> None:
        session = self._store(self._any_key())
        session.load()
        if session.session_key:
            session.cycle_key()
            session.flush()

    def _run_out(self) -> None:
        key = self._rng.choice(LAPSING)
        session = self._session(key)
        session.set_expiry(-3600)
        session.save()

    def _clear(self) -> None:
        self._store.clear_expired()

    # Their parts

    def _any_key(self) -> str:
        return self._rng.choice((*KEYS, *LAPSING))

    def _session(self, key: str, n: int | None = None) -> Any:
        """A session with new data, which is not read first."""
        session = self._store(key)
        session._session_cache = {"n": n or self._rng.randint(1, 1_000_000_000)}
        return session

    def _look(self) -> None:
        self._hand.own(self._asks, SESSION)
        self._hand.promise(self._asks)
        self._hand.pause()
