"""One key, as the dashboard shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .. import conf, inspection
from ..exceptions import CachePatternsError, PolicyError, StoreUnavailable
from ..inspection import names
from ..inspection.masks import key_for, typed_key_for

LONGEST = 4096
"""Characters of a key that are looked for: a server takes more, this library makes less."""
MOST_SHOWN = 100_000
"""Characters of a payload that are shown."""


@dataclass(frozen=True)
class Found:
    """What is known of a key.

    Args:
        described: what the server holds; `None` where that cannot be said.
        problem: why not.
        is_down: whether that is because the server does not answer.
        payload: what the entry holds, as JSON; `None` where there is nothing, or it is not shown.
        hidden: whether the user may not see it.
        cut: whether it is too long to be shown whole.
        depends_on: what it depends on, and how the user may see each key.
    """

    described: Any = None
    problem: str = ""
    is_down: bool = False
    payload: str | None = None
    hidden: bool = False
    cut: bool = False
    depends_on: tuple[tuple[inspection.Dependency, str], ...] = ()

    @property
    def state(self) -> str:
        """The state of what is there, for people."""
        return _STATES.get(self.described.state, self.described.state)

    @property
    def is_of_buffer(self) -> bool:
        """Whether it is a part of a write-behind buffer."""
        return bool(self.described.kind == names.BUFFER)

    @property
    def is_droppable(self) -> bool:
        """Whether there is an entry or a tag to be invalidated."""
        it = self.described
        return it is not None and it.state != "gone" and it.kind in names.ENTRIES | names.TAGS


_STATES = {
    "value": "a value",
    "stale": "a value past its soft ttl: still served, until it is loaded anew",
    "refreshing": "a value that is served while it is loaded anew",
    "negative": "an absence: known not to exist",
    "lease": "a lease: it is being loaded",
    "mark": "a mark: it is being written",
    "tag": "a tag: a version that entries depend on",
    "data": "data of the library, no entry",
    "other": "something that the library has not written",
    "gone": "gone: nothing is stored under this key",
}


def look_at(key: str, may_read: bool) -> Found:
    """What is known of a key.

    Args:
        may_read: whether its payload is to be shown.
    """
    if not key or len(key) > LONGEST or "\0" in key:
        return Found(problem="Type a key, such as one from the list of the hottest keys.")
    try:
        described = inspection.describe(key)
    except (StoreUnavailable, PolicyError) as error:
        return Found(problem=f"The cache server does not answer: {error}", is_down=True)
    except CachePatternsError as error:
        return Found(problem=str(error))
    prefix = conf.config().values["KEY_PREFIX"]
    depends_on = tuple(
        (each, key_for(each.key or "", prefix, may_read)) for each in described.depends_on
    )
    if not may_read:
        return Found(described, hidden=True, depends_on=depends_on)
    text = readable(described.payload)
    cut = len(text or "") > MOST_SHOWN
    return Found(described, payload=text and text[:MOST_SHOWN], cut=cut, depends_on=depends_on)


def key_shown(key: str, may_read: bool) -> str:
    """A key as it is shown to who has asked for it, and may read payloads, or may not."""
    return typed_key_for(key, conf.config().values["KEY_PREFIX"], may_read)


def readable(payload: Any) -> str | None:
    """Data for people: JSON in lines of their own, everything else as its text."""
    if payload is None:
        return None
    return json.dumps(payload, indent=2, ensure_ascii=False, default=str)
