"""The policy: how one model, function or value is cached, as a frozen value."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, NamedTuple

PATTERNS = ("read_through", "write_through", "cache_aside")
INVALIDATIONS = ("ttl", "event", "version", "hybrid")
STAMPEDES = ("lease", "stale_while_revalidate", "early_refresh", "none")
MOST_ASKED = 255
"""What a process counts up to, of how often it was asked for a key."""
REFRESHES = ("thread", "celery", "inline")


class Problem(NamedTuple):
    """One fault of a policy: the suffix of its check id, what is wrong, and the remedy."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, init=False)
class CachePolicy:
    """How entries are cached. Every value is optional; seconds may be numbers or timedeltas.

    Args:
        pattern: `read_through`, `write_through`, or `cache_aside` (no automatic reads).
        ttl: seconds until an entry expires; always set, always positive.
        soft_ttl: seconds until an entry is stale but still served; at most `ttl`.
        jitter: 0 to 1; the share of the ttl that is taken off at random, so that entries
            filled together do not expire together.
        negative_ttl: seconds that "does not exist" is remembered; `None` or 0: never.
        invalidation: `ttl`, `event`, `version` or `hybrid` (event and ttl).
        stampede: `lease`, `stale_while_revalidate`, `early_refresh` or `none`.
        lookups: fields, or tuples of fields, that are unique besides the primary key.
        indexes: columns that cached lists are pinned by.
        codec: `msgpack`, `json`, or the dotted path of a codec factory.
        lease_ttl: seconds after which a loader that died gives its lease up.
        lease_wait: seconds that a reader waits for another's load before it loads itself.
        refresh: who loads a stale value anew: a background `thread`, `celery`, or `inline` the
            reader that finds it stale.
        beta: how eager `early_refresh` is; 1 is what its authors prove optimal.
        admit_after: how many times a process must be asked for a key before it is cached.
        max_size: bytes of the largest entry that is cached; `None`: what the store takes.

    Nothing is refused here, so that a wrong policy is a system check with an id and not a
    traceback at import: see `problems()`.
    """

    pattern: str
    ttl: Any
    soft_ttl: Any
    jitter: float
    negative_ttl: Any
    invalidation: str
    stampede: str
    lookups: tuple[tuple[str, ...], ...]
    indexes: tuple[str, ...]
    codec: str
    lease_ttl: Any
    lease_wait: Any
    refresh: str
    beta: float
    admit_after: int
    max_size: int | None
    unknown: tuple[str, ...]

    def __init__(
        self,
        pattern: str = "read_through",
        *,
        ttl: float | timedelta = 300,
        soft_ttl: float | timedelta | None = None,
        jitter: float = 0.1,
        negative_ttl: float | timedelta | None = 30,
        invalidation: str = "hybrid",
        stampede: str = "lease",
        lookups: Iterable[str | Iterable[str]] = (),
        indexes: Iterable[str] = (),
        codec: str = "msgpack",
        lease_ttl: float | timedelta = 10,
        lease_wait: float | timedelta = 2,
        refresh: str = "thread",
        beta: float = 1.0,
        admit_after: int = 1,
        max_size: int | None = None,
        **unknown: Any,
    ) -> None:
        values = {
            "pattern": pattern,
            "ttl": _seconds(ttl),
            "soft_ttl": _seconds(soft_ttl),
            "jitter": jitter,
            "negative_ttl": _seconds(negative_ttl),
            "invalidation": invalidation,
            "stampede": stampede,
            "lookups": tuple(_names(lookup) for lookup in _listed(lookups)),
            "indexes": tuple(str(name) for name in _listed(indexes)),
            "codec": codec,
            "lease_ttl": _seconds(lease_ttl),
            "lease_wait": _seconds(lease_wait),
            "refresh": refresh,
            "beta": beta,
            "admit_after": admit_after,
            "max_size": max_size,
            "unknown": tuple(sorted(unknown)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def using(self, **changes: Any) -> CachePolicy:
        """A copy of this policy with some values changed.

        A soft ttl that a shorter ttl leaves no room for is shortened in proportion, unless it is
        given anew.
        """
        options: dict[str, Any] = {name: getattr(self, name) for name in OPTIONS}
        options.update(dict.fromkeys(self.unknown))
        if "ttl" in changes and "soft_ttl" not in changes:
            options["soft_ttl"] = self._soft_ttl_within(_seconds(changes["ttl"]))
        return CachePolicy(**{**options, **changes})

    def _soft_ttl_within(self, ttl: Any) -> Any:
        soft, own = self.soft_ttl, self.ttl
        if not all(_is_number(each) and each > 0 for each in (soft, own, ttl)):
            return soft
        return soft * ttl / own if ttl < soft <= own else soft

    def expires_in(self) -> int:
        """Milliseconds that an entry filled now should live: the ttl less its jitter."""
        return max(1, int(self.ttl * 1000 * (1 - self.jitter * random.random())))

    def problems(self) -> Iterator[Problem]:
        """What is wrong with this policy, by itself (not against a model)."""
        for name in self.unknown:
            yield Problem(
                "E001",
                f"unknown policy key {name!r}.",
                f"Use one of: {', '.join(OPTIONS)}.",
            )
        yield from self._time_problems()
        yield from self._choice_problems()

    def _time_problems(self) -> Iterator[Problem]:
        if not _is_number(self.ttl) or self.ttl <= 0:
            yield Problem(
                "E002",
                f"ttl is {self.ttl!r}; it must be a positive number of seconds or a timedelta.",
                "Set ttl to how long an entry may live when no invalidation reaches it, such as "
                "ttl=300.",
            )
        elif self.soft_ttl is not None and (
            not _is_number(self.soft_ttl) or not 0 < self.soft_ttl <= self.ttl
        ):
            yield Problem(
                "E003",
                f"soft_ttl is {self.soft_ttl!r}, but must be above 0 and at most the ttl "
                f"({self.ttl!r}).",
                "Lower soft_ttl, or raise ttl above it.",
            )
        if not _is_number(self.jitter) or not 0 <= self.jitter < 1:
            yield Problem(
                "E004", f"jitter is {self.jitter!r}; it is a share of the ttl.", "Use 0 to 0.99."
            )
        if self.negative_ttl is not None and (
            not _is_number(self.negative_ttl) or self.negative_ttl < 0
        ):
            yield Problem(
                "E005",
                f"negative_ttl is {self.negative_ttl!r}; it must be seconds, 0 or None.",
                "Use None to remember no absences.",
            )
        for name in ("lease_ttl", "lease_wait"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                yield Problem(
                    "E006",
                    f"{name} is {value!r}; it must be a positive number of seconds.",
                    f"Leave {name} out to get the default.",
                )

        yield from self._number_problems()

    def _number_problems(self) -> Iterator[Problem]:
        if not _is_number(self.beta) or self.beta <= 0:
            yield Problem("E030", f"beta is {self.beta!r}; it must be above 0.", "Use 1.")
        if not _is_count(self.admit_after) or self.admit_after > MOST_ASKED:
            yield Problem(
                "E031",
                f"admit_after is {self.admit_after!r}; it must be a whole number from 1 to "
                f"{MOST_ASKED}.",
                "Use 1 to cache what is asked for once.",
            )
        if self.max_size is not None and not _is_count(self.max_size):
            yield Problem(
                "E032",
                f"max_size is {self.max_size!r}; it must be a number of bytes.",
                "Use None for no limit but the server's.",
            )

    def _choice_problems(self) -> Iterator[Problem]:
        if self.stampede == "stale_while_revalidate" and self.soft_ttl is None:
            yield Problem(
                "E033",
                "stampede is 'stale_while_revalidate', but there is no soft_ttl to say when a "
                "value is stale.",
                "Set soft_ttl to some seconds below the ttl, such as soft_ttl=240 with ttl=300.",
            )
        if self.refresh == "celery" and find_spec("celery") is None:
            yield Problem(
                "E035",
                "refresh is 'celery', which is not installed.",
                "Install django-cachepatterns[celery], or use refresh='thread'.",
            )
        if self.pattern == "write_through" and self.invalidation in ("ttl", "version"):
            yield Problem(
                "E034",
                f"pattern is 'write_through', but invalidation is {self.invalidation!r}, which "
                "tells no entry of a write.",
                "Use invalidation='hybrid'.",
            )
        for name, allowed in (
            ("pattern", PATTERNS),
            ("invalidation", INVALIDATIONS),
            ("stampede", STAMPEDES),
            ("refresh", REFRESHES),
        ):
            value = getattr(self, name)
            if value not in allowed:
                yield Problem("E007", f"{name} is {value!r}.", f"Use one of: {', '.join(allowed)}.")


OPTIONS = tuple(field.name for field in fields(CachePolicy) if field.name != "unknown")


def merged(policy: CachePolicy, overrides: Iterable[Mapping[str, Any]]) -> CachePolicy:
    """The policy with the mappings laid over it; of the same value, the later one wins."""
    return policy.using(**{name: value for each in overrides for name, value in each.items()})


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)


def _names(lookup: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(str(name) for name in _listed(lookup))
