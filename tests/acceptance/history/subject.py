"""What is put to the test: a model, and the ways in which its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from .areas import LOOKUPS, ROWS
from .ask import Ask
from .hand import Hand

Styles = dict[str, Callable[[], None]]
"""Ways to write, by their names."""

SUBJECTS = {
    "cachepatterns": "tests.acceptance.history.cachepatterns:CachePatterns",
    "control": "tests.acceptance.history.control:Control",
    "without-marks": "tests.acceptance.history.sabotage:WithoutMarks",
    "without-tokens": "tests.acceptance.history.sabotage:WithoutTokens",
    "publishes-snapshots": "tests.acceptance.history.sabotage:PublishesSnapshots",
    "without-tags": "tests.acceptance.history.sabotage:WithoutTags",
    "without-old-values": "tests.acceptance.history.sabotage:WithoutOldValues",
    "warms-without-leases": "tests.acceptance.history.sabotage:WarmsWithoutLeases",
    "installs-unchecked": "tests.acceptance.history.sabotage:InstallsUnchecked",
}


class ReadRow(NamedTuple):
    """A way to read one row; `None` where there is none."""

    name: str
    read: Callable[[int], Any]
    pks: Sequence[int]


class ReadRows(NamedTuple):
    """A way to read several rows; those that are not there are left out."""

    name: str
    read: Callable[[Sequence[int]], Mapping[int, Any]]
    pks: Sequence[int]


class ReadSlug(NamedTuple):
    """A way to read the row that has a slug."""

    name: str
    read: Callable[[str], Any]


Way = ReadRow | ReadRows | ReadSlug | Ask


class Subject(Protocol):
    """One cache in front of the rows."""

    model: Any
    ways: Sequence[ReadRow | ReadRows | ReadSlug]
    asks: Sequence[Ask]
    """What is asked of it besides."""
    by_signals_only: bool
    """Whether it learns of writes by signals alone, and can do nothing about the others."""

    def read(self, pk: int) -> Any:
        """The plainest way to read one row."""

    def styles(self, hand: Hand) -> Styles:
        """How that which `asks` are about is written."""

    def pausing(self, pause: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `pause` wherever another process could come in between, for a block's length.

        That is between each load and its fill, and between a commit and what follows it.
        """

    def outcomes(self) -> Mapping[str, int]:
        """Counts since the process began; `hit` and `load` are among them."""


def subject(name: str, areas: tuple[str, ...]) -> Subject:
    """A subject by its name, for some areas. Django must have been set up."""
    from django.utils.module_loading import import_string

    made: Subject = import_string(SUBJECTS[name].replace(":", "."))(areas)
    return made


def area_of(way: Way) -> str:
    """The area that a way to read belongs to."""
    if isinstance(way, Ask):
        return way.area
    return LOOKUPS if isinstance(way, ReadSlug) else ROWS
