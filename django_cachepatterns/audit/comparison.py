"""Comparing a batch of entries of one kind with the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import ProgrammingError

from ..exceptions import CodecError
from ..inspection.families import family_of
from ..inspection.names import Name
from ..log_events import event
from ..stores import RedisInspector
from . import outcomes
from .checkers import UNKNOWN, Checker, LoaderChecker, Unloadable
from .confirming import confirmed
from .looks import Asked, Seen, look
from .problems import ABSENT, differences_of, problem_of
from .report import DIFFERS, Finding
from .tally import Tally

logger = logging.getLogger("django_cachepatterns")


class Comparison:
    """Compares entries of one kind.

    Args:
        checker: of their kind.
        inspector: of the cache server.
        tally: told what is found.
        heal: whether to delete what is wrong.
    """

    def __init__(
        self, checker: Checker, inspector: RedisInspector, tally: Tally, heal: bool
    ) -> None:
        self._checker, self._source = checker, checker.source
        self._inspector, self._tally, self._heal = inspector, tally, heal

    def compare(self, some: Sequence[Name]) -> None:
        """Compare a batch. Raises `StoreUnavailable`, and what a database raises that is away."""
        asked = self._known([Asked(name, self._checker.asked(name)) for name in some])
        seen, why = look(self._inspector.store, self._source, asked)
        self._tally.skip_each(why.values())
        chosen = self._settled(seen)
        loaded = self._loaded(list(chosen))
        if loaded is not None:
            for each in self._suspects(chosen, loaded):
                self._examine(each)

    def _known(self, asked: list[Asked]) -> list[Asked]:
        """Those that can be looked at: the tags of a loader's entry follow from what it is of."""
        if not isinstance(self._checker, LoaderChecker):
            return asked
        known = [each for each in asked if each.asked is not UNKNOWN]
        self._tally.skip(self._checker.unknown, len(asked) - len(known))
        return known

    def _settled(self, seen: Mapping[Asked, Seen]) -> dict[Asked, Seen]:
        chosen = {}
        for each, what in seen.items():
            settled = self._checker.settled(each, what)
            if isinstance(settled, str):
                self._tally.skip(settled)
            else:
                chosen[settled] = what
        return chosen

    def _loaded(self, asked: Sequence[Asked]) -> Mapping[Asked, Any] | None:
        """What the database says; `None` where it cannot be asked for these, which are skipped."""
        try:
            return self._checker.load(asked) if asked else None
        except Unloadable as error:
            self._tally.skip(str(error), len(asked))
        except ProgrammingError as error:
            family = self._source.name
            extra = event("audit_failed", family=family, error=str(error).strip())
            logger.warning("Cannot audit %s: %s", family, error, extra=extra)
            self._tally.skip(outcomes.DATABASE, len(asked))
        return None

    def _suspects(
        self, chosen: Mapping[Asked, Seen], loaded: Mapping[Asked, Any]
    ) -> Sequence[Asked]:
        """Those that differ, and were the same before and after the database was read."""
        suspects = []
        for each, seen in chosen.items():
            try:
                problem = problem_of(self._source, seen, loaded.get(each, ABSENT))
            except CodecError:
                self._tally.skip(outcomes.DAMAGED)
                continue
            if problem is None:
                self._tally.check(family_of(each.name, seen.data))
            else:
                suspects.append(each)
        again = look(self._inspector.store, self._source, suspects)[0] if suspects else {}
        same = [each for each in suspects if again.get(each) == chosen[each]]
        self._tally.skip(outcomes.CHANGED, len(suspects) - len(same))
        return same

    def _examine(self, asked: Asked) -> None:
        """One that looks wrong."""
        checker, tally = self._checker, self._tally
        loaded: Any = ABSENT

        def differs(seen: Seen) -> bool:
            nonlocal loaded
            loaded = checker.load([asked]).get(asked, ABSENT)
            try:
                return problem_of(checker.source, seen, loaded) is not None
            except CodecError:
                return False

        if checker.ages:
            tally.check(family_of(asked.name))
            tally.allowed += 1
            return
        try:
            seen, healed = confirmed(self._inspector, self._source, asked, differs, self._heal)
        except (Unloadable, ProgrammingError) as error:
            known = isinstance(error, Unloadable)
            tally.skip(str(error) if known else outcomes.DATABASE)
            return
        if seen is None:
            tally.skip(outcomes.CHANGED)
            return
        tally.check(family_of(asked.name, seen.data))
        tally.accuse(self._finding(asked, seen, loaded, healed))

    def _finding(self, asked: Asked, seen: Seen, loaded: Any, healed: bool) -> Finding:
        name, source = asked.name, self._source
        return Finding(
            name.key,
            family_of(name, seen.data),
            name.kind,
            problem_of(source, seen, loaded) or DIFFERS,
            time.time(),
            differences_of(source, seen, loaded),
            healed,
        )
