"""What a warming has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows of one model, by what became of them: `looked_at` is the sum of the others.

    Args:
        looked_at: rows that were found in the database.
        filled: rows that were stored.
        valid: rows that were there already.
        busy: rows that others were loading or writing, and that were left to them.
        refused: rows that were written meanwhile: what was loaded was not stored.
        unfit: rows that cannot be stored: too large, or not to be carried by the codec.
        gone: rows that were deleted meanwhile.
        pointers: lookups (`slug=...`) that were stored beside the rows.
        bytes: of the rows' entries that were stored.
    """

    looked_at: int = 0
    filled: int = 0
    valid: int = 0
    busy: int = 0
    refused: int = 0
    unfit: int = 0
    gone: int = 0
    pointers: int = 0
    bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        pairs = {each.name: getattr(self, each.name) for each in fields(self)}
        return Tally(**{name: number + getattr(other, name) for name, number in pairs.items()})


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of a warming.

    Args:
        by_model: rows by the labels of their models.
        seconds: how long it took.
        finished: whether all that was asked for was looked at.
        error: what ended it before.
        unknown_keys: of `hot`: sampled keys that no row can be told from.
        skipped: why models that nobody has named were left out, by their labels.
    """

    by_model: dict[str, Tally] = field(default_factory=dict)
    seconds: float = 0.0
    finished: bool = True
    error: Exception | None = None
    unknown_keys: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        """All models together."""
        return sum(self.by_model.values(), Tally())

    def __add__(self, other: Warmed) -> Warmed:
        labels = dict.fromkeys((*self.by_model, *other.by_model))
        none = Tally()
        return Warmed(
            {
                label: self.by_model.get(label, none) + other.by_model.get(label, none)
                for label in labels
            },
            self.seconds + other.seconds,
            self.finished and other.finished,
            self.error or other.error,
            self.unknown_keys + other.unknown_keys,
            {**self.skipped, **other.skipped},
        )

    def as_json(self) -> dict[str, Any]:
        """The same for a JSON document."""
        return {
            "models": {label: asdict(tally) for label, tally in self.by_model.items()},
            "total": asdict(self.total),
            "seconds": round(self.seconds, 3),
            "finished": self.finished,
            "unknown_keys": self.unknown_keys,
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a warming has come.

    Args:
        model: the label of the model that is at hand.
        done: its rows that were looked at.
        expected: about how many there are; `None` where nobody has counted.
    """

    model: str
    done: int
    expected: int | None


OnProgress = Callable[[Progress], object]
"""Told after each chunk, in the thread that has warmed it, one at a time."""
