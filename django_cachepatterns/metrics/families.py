"""Which names a process counts under: not more than so many, whatever pages make names from."""

from __future__ import annotations

import logging
import os

from ..log_events import event

logger = logging.getLogger("django_cachepatterns")

MOST = 1000
"""Families that are counted under their own names: so many fragments, and so many others."""
OTHER = "(other)"
"""What all others are counted under together."""
FRAGMENT = "fragment "
"""What the families of fragments begin with."""

# Fragments are named in templates, by what a page shows perhaps: they take no model's place.
_fragments: set[str] = set()
_others: set[str] = {OTHER}
_said: set[int] = set()


def counted_as(family: str) -> str:
    """What a family is counted under: its own name, or `OTHER`. Asked where a name is new."""
    known = _fragments if family.startswith(FRAGMENT) else _others
    if family in known:
        return family
    # No lock: whoever counts may hold any. Threads that come at once may add one more each.
    if len(known) < MOST:
        known.add(family)
        return family
    if id(known) not in _said:
        _said.add(id(known))
        logger.warning(
            "This process has counted %d families, and counts %r and all others from now on as "
            "one, %r. (Said once.) Are names made from what comes with requests? Put that into "
            "what a fragment varies on, or into the key, and leave it out of the name.",
            MOST,
            family,
            OTHER,
            extra=event("many_families", family=family, count=MOST),
        )
    return OTHER


def _forget() -> None:
    """A forked child has counted none."""
    for each in (_fragments, _others, _said):
        each.clear()
    _others.add(OTHER)


os.register_at_fork(after_in_child=_forget)
