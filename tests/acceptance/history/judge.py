"""Whether a read may show what it shows."""

from __future__ import annotations

from typing import Any

from .areas import LOOKUPS, ROWS
from .tally import Tally
from .witness import Noted, Witness


class Judge:
    """Compares reads with what was noted before they began.

    Args:
        witness: is asked once more where a row was not found that was there before.
        tally: where faults are counted.
    """

    def __init__(self, witness: Witness, tally: Tally) -> None:
        self._witness = witness
        self._tally = tally

    def row(self, how: str, pk: int, noted: Noted, seen: Any) -> None:
        """A read of a row by its primary key; `seen` is `None` where it was not found."""
        self._tally.count("judged")
        if seen is None:
            if noted.present and self._witness.row_gone_at(pk) <= noted.version:
                self._fault("stale", ROWS, f"{how}: no row {pk}, but {noted}")
        elif seen.pk != pk:
            self._tally.fault("wrong", f"{how}: {_words(seen)}, but row {pk} was asked for")
        elif not self._is_dirty(how, ROWS, seen) and seen.stock < noted.version:
            self._fault("stale", ROWS, f"{how}: {_words(seen)}, but {noted}")

    def slug(self, how: str, slug: str, noted: Noted, seen: Any) -> None:
        """A read of a row by its slug."""
        self._tally.count("judged")
        if seen is None:
            if noted.present and self._witness.slug_gone_at(slug) <= noted.version:
                self._fault("stale", LOOKUPS, f"{how}: no slug {slug}, but {noted}")
        elif seen.slug != slug:
            self._tally.fault("wrong", f"{how}: {_words(seen)}, but {slug} was asked for")
        elif not self._is_dirty(how, LOOKUPS, seen) and _is_older(seen, noted):
            self._fault("stale", LOOKUPS, f"{how}: {_words(seen)}, but {noted}")

    def _is_dirty(self, how: str, area: str, seen: Any) -> bool:
        """Poison is negative, and is never committed."""
        dirty = seen.stock < 0 or seen.slug.startswith("poison")
        if dirty:
            self._fault("dirty", area, f"{how}: {_words(seen)}")
        return bool(dirty)

    def _fault(self, name: str, area: str, words: str) -> None:
        self._tally.fault(name, words)
        self._tally.count(f"{name} in {area}")


def _is_older(seen: Any, noted: Noted) -> bool:
    if seen.place != noted.version:
        return bool(seen.place < noted.version)
    return bool(seen.pk != noted.pk or seen.stock < noted.stock)


def _words(seen: Any) -> str:
    return f"row {seen.pk} with stock={seen.stock} slug={seen.slug} place={seen.place}"
