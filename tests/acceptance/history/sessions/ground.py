"""The sessions, and what is asked about them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ..areas import SESSIONS
from ..ask import Ask
from ..chronicle import Scope, State

KEYS = tuple(f"historysession{n}".ljust(32, "x") for n in range(4))
LAPSING = tuple(f"historylapsing{n}".ljust(32, "x") for n in range(2))
"""Sessions that run out, now and then."""

SESSION = Scope(
    "session",
    ("django_session",),
    "SELECT coalesce(json_agg(json_build_array(session_key, session_data, expire_date > now()) "
    "ORDER BY session_key), '[]') FROM django_session",
)


def scopes(areas: tuple[str, ...]) -> list[Scope]:
    """The sessions, if some areas need them."""
    return [SESSION] if SESSIONS in areas else []


def lay() -> None:
    """Make the first sessions."""
    from django.contrib.sessions.backends.db import SessionStore

    for key in (*KEYS, *LAPSING):
        session = SessionStore(key)
        session["n"] = 1
        session.save(must_create=True)


def asks(store: Any) -> Iterator[Ask]:
    """What is asked of a session engine."""

    def load(key: str) -> dict[str, Any]:
        return dict(store(key).load())

    def number(key: str) -> Any:
        return store(key).get("n")

    def data(state: State, key: str) -> dict[str, Any]:
        found = {each: text for each, text, lasts in state if lasts}
        return _decoded(found[key]) if key in found else {}

    keys = (*KEYS, *LAPSING)
    yield Ask("load()", SESSIONS, SESSION.name, keys, load, data)
    yield Ask("get()", SESSIONS, SESSION.name, keys, number, lambda s, k: data(s, k).get("n"))
    yield Ask(
        "exists()",
        SESSIONS,
        SESSION.name,
        KEYS,
        lambda key: store(key).exists(key),
        lambda state, key: any(row[0] == key for row in state),
    )


@lru_cache(maxsize=512)
def _decoded(text: str) -> dict[str, Any]:
    from django.contrib.sessions.backends.db import SessionStore

    found: dict[str, Any] = SessionStore().decode(text)
    return {name: value for name, value in found.items() if name != "_session_expiry"}
