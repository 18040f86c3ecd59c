"""What is said of one key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dependency:
    """A tag that an entry depends on.

    Args:
        key: the tag's key; `None` where it cannot be told which tag has that version.
        holds: whether the tag still has the version that the entry was loaded under; `None`: not
            known.
        is_written: whether a transaction is writing what the tag stands for.
    """

    key: str | None
    holds: bool | None
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class Writer:
    """A transaction in a mark.

    Args:
        id: its id, in hexadecimal digits.
        lapses_in: seconds until it counts as crashed; 0 where it has lapsed.
    """

    id: str
    lapses_in: float


@dataclass(frozen=True, slots=True)
class Described:
    """One key, and what stands under it. Times are in seconds, sizes in bytes.

    Args:
        key: the key.
        family: what metrics call it, such as `shop.product` or `shop.product:list`.
        kind: what the key is of: one of `names.KINDS`.
        state: `value`, `stale` (past its soft ttl), `refreshing` (served while it is loaded anew),
            `negative`, `lease`, `mark`, `tag`, `data` (not an entry: a buffer, a metric), `other`
            (not one that the library writes) or `gone`.
        tenant: whose it is, as the key has it; `None`: nobody's in particular.
        database: the alias of a model's database.
        size: of what is stored; `None` where it is not a string.
        memory: what it takes in the server, the key and its own costs included.
        ttl: until it expires; `None`: never.
        age: since it was stored, where that is known.
        age_between: the least and most that it may be, where jitter hides the rest.
        soft_ttl: until it is stale; below 0 where it is; `None`: it has none.
        cost: how long the load took; `None`: not known.
        depends_on: the tags whose versions it holds.
        writers: the transactions that write it, of a mark.
        is_served: whether a reader would be given it; `None`: that cannot be told from here.
        problem: why it would not be, or what is odd.
        payload: what it holds, as plain data: a dict by column of a row. What looks like a secret
            is starred out.
    """

    key: str
    family: str
    kind: str
    state: str
    tenant: str | None = None
    database: str | None = None
    size: int | None = None
    memory: int | None = None
    ttl: float | None = None
    age: float | None = None
    age_between: tuple[float, float] | None = None
    soft_ttl: float | None = None
    cost: float | None = None
    depends_on: tuple[Dependency, ...] = ()
    writers: tuple[Writer, ...] = ()
    is_served: bool | None = None
    problem: str | None = None
    payload: Any = None
