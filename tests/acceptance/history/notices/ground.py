"""A table that no model knows, and the names in it, by what reads them."""

from __future__ import annotations

from typing import Any

from django.db import connection

from ..areas import FUNCTIONS, WRITE_THROUGH
from ..chronicle import Scope, State

NOTICE = Scope(
    "notice",
    ("history_notice",),
    "SELECT coalesce(json_agg(json_build_array(name, n) ORDER BY name), '[]') FROM history_notice",
)
AREAS = (FUNCTIONS, WRITE_THROUGH)

KINDS = ("tagged", "keyed", "value", "profile")
"""What reads a notice: a function with a tag, a function by its arguments, `ReadThrough`,
`WriteThrough`."""
MOMENTS = ("within", "after")
"""When the cache is told of a change: in its transaction, or after it."""


def names(kind: str, moment: str) -> tuple[str, ...]:
    """The notices that are read in one way and told of at one moment."""
    return tuple(f"{kind}-{moment}-{n}" for n in (1, 2))


def scopes(areas: tuple[str, ...]) -> list[Scope]:
    """The notices, if some areas need them."""
    return [NOTICE] if set(AREAS) & set(areas) else []


def lay() -> None:
    """Make the table."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS history_notice")
        cursor.execute("CREATE TABLE history_notice (name text PRIMARY KEY, n bigint)")
        for kind in KINDS:
            for moment in MOMENTS:
                for name in names(kind, moment):
                    cursor.execute("INSERT INTO history_notice VALUES (%s, 1)", [name])


def number(name: str) -> int | None:
    """The number of a notice; `None` where there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM history_notice WHERE name = %s", [name])
        return (cursor.fetchone() or (None,))[0]


def numbers(names: Any) -> dict[str, int]:
    """The numbers of several notices."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, n FROM history_notice WHERE name = ANY(%s)", [list(names)])
        return dict(cursor.fetchall())


def put(name: str, n: int | None) -> None:
    """Write a notice, or delete it."""
    with connection.cursor() as cursor:
        if n is None:
            cursor.execute("DELETE FROM history_notice WHERE name = %s", [name])
        else:
            cursor.execute(
                "INSERT INTO history_notice VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET n = excluded.n",
                [name, n],
            )


def right(state: State, name: str) -> int | None:
    """The right answer."""
    return dict(map(tuple, state)).get(name)
