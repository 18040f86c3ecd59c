"""What an audit has found, as Python has it and as JSON has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DIFFERS, GONE, EXISTS = "differs", "row is gone", "row exists"
"""The value differs from the database's; it was cached, but is no more; it is cached as absent."""
PROBLEMS = (DIFFERS, GONE, EXISTS)


@dataclass(frozen=True, slots=True)
class Difference:
    """One column, or the whole value where there are no columns.

    Args:
        name: the column's attribute; `value` where there are no columns.
        cached: what the cache says, as text, shortened; stars where it looks like a secret.
        database: what the database says; the same.
    """

    name: str
    cached: str
    database: str


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry that readers are served, and that is not what the database says.

    Args:
        key: the entry's.
        family: what metrics call it.
        kind: `row`, `lookup` or `value`.
        problem: one of `PROBLEMS`.
        found_at: seconds since 1970.
        differences: what differs; empty where one of the two does not exist.
        is_healed: whether the entry was deleted.
    """

    key: str
    family: str
    kind: str
    problem: str
    found_at: float
    differences: tuple[Difference, ...] = ()
    is_healed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what differs."""
        return tuple(each.name for each in self.differences)

    def __str__(self) -> str:
        if not self.differences:
            return f"{self.key}: {_SAID[self.problem]}"
        pairs = ", ".join(
            f"{each.name} is {each.cached} in the cache and {each.database} in the database"
            for each in self.differences
        )
        return f"{self.key}: {pairs}"


_SAID = {
    DIFFERS: "the cache and the database differ",
    GONE: "it is cached, but does not exist in the database",
    EXISTS: "it is cached as absent, but exists in the database",
}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What one audit did.

    Args:
        started: seconds since 1970.
        seconds: how long it took.
        looked_at: keys that were looked at, of all kinds.
        checked: entries that were compared with the database.
        found: how many of them are wrong.
        findings: those; no more than `MOST`.
        healed: how many wrong entries were deleted.
        allowed: entries that differ and may: their policy is `invalidation="ttl"`.
        skipped: how many entries were not compared, by the reason.
        by_family: for each family, how many were checked and how many of those are wrong.
        sample: how many were asked for; `None`: all.
        is_complete: whether every key of the server was looked at.
    """

    started: float
    seconds: float = 0.0
    looked_at: int = 0
    checked: int = 0
    found: int = 0
    findings: tuple[Finding, ...] = ()
    healed: int = 0
    allowed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    by_family: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sample: int | None = None
    is_complete: bool = False

    @property
    def is_consistent(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.found

    def as_json(self) -> dict[str, Any]:
        """The same as data that JSON has."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> AuditReport:
        """What `as_json()` gave. Raises `TypeError` for that of another version of the library."""
        made = dict(said)
        made["findings"] = tuple(map(finding_from, made.get("findings", ())))
        families = made.get("by_family", {})
        made["by_family"] = {name: (pair[0], pair[1]) for name, pair in families.items()}
        return cls(**made)


def finding_from(said: Mapping[str, Any]) -> Finding:
    """A finding that was made JSON."""
    made = dict(said)
    made["differences"] = tuple(Difference(**each) for each in made.get("differences", ()))
    return Finding(**made)


MOST = 1000
"""Findings that a report has in full; where there are more, something is wrong with all of them."""
