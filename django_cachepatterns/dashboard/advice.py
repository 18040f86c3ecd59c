"""What to do about policies that serve few of their reads: said from the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..metrics.measured import Measured
from ..policy import CachePolicy

TARGET = 0.8
"""The share of reads that a policy should serve from the cache."""
FEW = 50
"""Reads below which a rate is an accident."""
MATTERS = 0.1
"""The share of the reads that were not served, from which on a cause is worth telling."""
MOST = 3
"""Causes told of one policy."""
ONCE = 0.3
"""How often a value is served on average, below which most are not asked for again."""

_NARROWER = (
    "Do not cache it, or have it depend on less: on a tag of your own, or on nothing but its ttl."
)
_WITHOUT = {
    "rows": "Turn the automatic reads off with pattern='cache_aside', or count it in a "
    "write-behind counter.",
    "lists": "Read these lists without .cache(), or have fewer writes end them, with indexes in "
    "the policy.",
}
"""What to do about entries that are written more often than read, by their kind."""


@dataclass(frozen=True)
class Advice:
    """One cause of reads that were not served.

    Args:
        cause: its name, for tests and style sheets.
        reads: how many it explains.
        fault: what was seen, with the numbers.
        remedy: what to do.
    """

    cause: str
    reads: int
    fault: str
    remedy: str


@dataclass(frozen=True)
class Case:
    """What is known of a policy.

    Args:
        measured: what was counted.
        policy: its options; `None` where nobody knows them.
        span: seconds in which it was counted.
        kind: what its entries are, as `Family` calls it.
    """

    measured: Measured
    policy: CachePolicy | None
    span: float
    kind: str = "rows"

    def counted(self, outcome: str) -> int:
        """How often something happened."""
        return self.measured.counts.get(outcome, 0)

    @property
    def lost(self) -> int:
        """Reads that were not served."""
        return self.measured.reads - self.measured.served

    @property
    def writes(self) -> int:
        """How often its entries were ended by writes, at least: each ends a row's lookups, too."""
        keys = 1 + (len(self.policy.lookups) if self.policy is not None else 0)
        return self.counted("outdated") + -(-self.counted("invalidation") // keys)


def is_below(measured: Measured) -> bool:
    """Whether a policy serves less than it should, by reads enough to say so."""
    rate = measured.hit_rate
    return rate is not None and measured.reads >= FEW and rate < TARGET


def advise(case: Case) -> list[Advice]:
    """Why a policy is below the target, the weightiest cause first; empty where it is not."""
    if not is_below(case.measured):
        return []
    found = [each for each in _causes(case) if each.reads >= MATTERS * case.lost]
    return sorted(found, key=lambda each: -each.reads)[:MOST] or [_unknown(case)]


def _causes(case: Case) -> Iterator[Advice]:
    yield from _passed(case)
    yield from _not_stored(case)
    yield from _not_asked_again(case)


def _passed(case: Case) -> Iterator[Advice]:
    """Reads that met something else than a value or nothing."""
    reads = case.measured.reads
    if bypass := case.counted("bypass"):
        yield Advice(
            "bypass",
            bypass,
            f"{_of(bypass, reads)} reads went around the cache: a transaction was writing the same "
            "thing, or had written it itself.",
            "Keep transactions short, and read before they write. A column that is written all the "
            "time belongs into a write-behind counter.",
        )
    if late := case.counted("timed_out"):
        yield Advice(
            "timed_out",
            late,
            f"{_of(late, reads)} reads waited for somebody else's load until they gave up.",
            "Serve the old value meanwhile: stampede='stale_while_revalidate', with a soft_ttl "
            "below the ttl. Or raise lease_wait above the time that a load takes.",
        )
    if outage := case.counted("outage"):
        yield Advice(
            "outage",
            outage,
            f"{_of(outage, reads)} reads got no answer from the cache server in time.",
            "Look at the health of the server on the dashboard, and at the log.",
        )


def _not_stored(case: Case) -> Iterator[Advice]:
    """Values that were loaded, and not stored."""
    loads = max(case.counted("load"), 1)
    policy = case.policy
    if refused := case.counted("refused_fill"):
        yield Advice(
            "refused_fill",
            refused,
            f"{_of(refused, loads)} loaded values were not stored, because they were written "
            "while they were loaded.",
            "Writes and reads meet on the same rows. Make the load shorter, or move what is "
            "written so often out of the row: into a write-behind counter, or a table of its own.",
        )
    if oversize := case.counted("oversize"):
        limit = "what the server takes" if _limit(policy) is None else f"{_limit(policy):,} bytes"
        yield Advice(
            "oversize",
            oversize,
            f"{_of(oversize, loads)} loaded values were larger than {limit}, and were not stored.",
            "Raise max_size, or cache less of it: fewer columns, shorter lists.",
        )
    if cold := case.counted("not_admitted"):
        after = policy.admit_after if policy is not None else "several"
        yield Advice(
            "not_admitted",
            cold,
            f"{_of(cold, case.measured.reads)} reads were of keys that a process had not been "
            f"asked for {after} times, as admit_after wants it.",
            "Lower admit_after if these keys are asked for again.",
        )
    if broken := case.counted("unencodable") + case.counted("corrupt"):
        yield Advice(
            "unencodable",
            broken,
            f"{_number(broken)} values could not be written or read by the codec.",
            "The log names the first of them. Choose another codec, or leave the field out.",
        )


def _not_asked_again(case: Case) -> Iterator[Advice]:
    """Values that were stored, and gone before they had served enough."""
    fills, misses = case.counted("fill"), case.counted("miss")
    served, written = case.measured.served, case.writes
    if not fills:
        return
    each = served / fills
    said = (
        f"{_number(fills)} values were stored and served {_number(served)} reads: {each:.1f} each"
    )
    if written > served:
        yield Advice(
            "invalidated",
            misses,
            f"It was invalidated at least {_number(written)} times, and served {_number(served)} "
            "reads: more writes than reads.",
            f"The cache costs more here than it saves. {_WITHOUT.get(case.kind, _NARROWER)}",
        )
    elif written >= fills / 2:
        yield Advice(
            "written",
            misses,
            f"{said}, until at least {_number(written)} writes ended them.",
            "Leave unchanged what writes do not change: save only what is new, count in a "
            "write-behind counter. Lists end by fewer writes with indexes in the policy.",
        )
    elif case.policy is not None and each >= ONCE and case.policy.ttl < case.span:
        yield Advice(
            "ttl",
            misses,
            f"{said}, before the ttl of {_seconds(case.policy.ttl)} was over.",
            f"Raise the ttl{_safely(case.policy)}.",
        )
    elif each >= ONCE:
        is_known = case.policy is not None
        yield Advice(
            "young",
            misses,
            f"{said}, so far: what is stored lives for longer than these figures go back."
            if is_known
            else f"{said}. How long values live is not known to this process.",
            ("Look again when they do. " if is_known else "Raise the ttl if that ends them. ")
            + "Else most reads are of keys that nobody has asked for before: load them ahead, or "
            "let only keys in that are asked for again, with admit_after=2.",
        )
    else:
        lives = f", which lives for {_seconds(case.policy.ttl)}" if case.policy is not None else ""
        yield Advice(
            "once",
            misses,
            f"{said}: most of what is stored{lives} is never asked for twice.",
            "Let only keys in that are asked for again: admit_after=2. If that leaves few hits, do "
            "not cache it. If keys come back later than that, raise the ttl.",
        )


def _unknown(case: Case) -> Advice:
    loads = case.counted("load")
    return Advice(
        "unknown",
        case.lost,
        f"{_of(case.lost, case.measured.reads)} reads were not served, and none of "
        f"{_number(loads)} loads says why.",
        "See that CACHEPATTERNS['ENABLED'] is true, and what the log says.",
    )


def _safely(policy: CachePolicy) -> str:
    if policy.invalidation == "ttl":
        return ", by as much as it may be out of date; or let writes end it: invalidation='hybrid'"
    return ": writes end what is stored, whatever its ttl"


def _limit(policy: CachePolicy | None) -> int | None:
    return policy.max_size if policy is not None else None


def _of(part: int, whole: int) -> str:
    share = f" ({part / whole:.0%})" if whole else ""
    return f"{_number(part)} of {_number(whole)}{share}"


def _number(number: int) -> str:
    return f"{number:,}"


def _seconds(seconds: float) -> str:
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:g} {name}" if seconds % size == 0 else f"{seconds:,g} seconds"
    return f"{seconds:g} seconds"
