"""Fragments: rendered parts of pages, by a name and the values that they vary on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from . import conf, keys
from .arguments import stable_text
from .exceptions import PolicyError
from .invalidation.invalidate import drop
from .keys import KeySpace
from .policy import CachePolicy
from .values import Asked, Dependencies, Family, Live, Values, policy_from

Render = Callable[[], str]
"""Renders a fragment anew."""


class Fragment:
    """One fragment, with the values that it varies on.

    Args:
        name: its name.
        vary: values with a stable text (see `arguments.stable_text`), each of which is part of the
            key.
        body: what tells two fragments of one name apart, such as a hash of their source.
        localized: whether it differs by language and time zone, where the settings use them.

    Raises `UnstableArgument`.
    """

    def __init__(
        self, name: str, vary: Sequence[Any], body: str = "", localized: bool = True
    ) -> None:
        self.name = name
        self._texts = [
            stable_text(value, f"fragment {name!r}: value {at} that it varies on")
            for at, value in enumerate(vary, 1)
        ]
        self._body = body
        self._localized = localized

    def asked(
        self, render: Render, tags: Iterable[str] = (), depends_on: Sequence[Any] = ()
    ) -> Asked[Render]:
        """What is asked of the cache. Raises `PolicyError` for a model that is not followed."""
        space = conf.config().key_space()
        depends = _dependencies(tuple(depends_on), self.name)
        names = [*self.tags(space), *map(space.tag, tags), *depends.tags(space)]
        return Asked(self._key(space), tuple(names), render)

    def read(self, asked: Asked[Render], policy: CachePolicy) -> str:
        """The fragment, from the cache or rendered anew."""
        reader = _live(self.name, policy).reader()
        if reader is None:
            return asked.what()
        found: str = reader.read((asked,))[asked]
        return found

    def tags(self, space: KeySpace) -> list[bytes]:
        """The keys of its tags: of all fragments of its name, and of those with its values."""
        every = f"{space.root}:fragment:{keys.part(self.name)}"
        tags = [f"{every}~all".encode()]
        if self._texts:
            tags.append(f"{every}:{':'.join(self._texts)}~all".encode())
        return tags

    def _key(self, space: KeySpace) -> bytes:
        # No text has a colon in it, so that nothing else has the same key.
        parts = [space.root, "fragment", keys.part(self.name), *self._place(), *self._texts]
        return ":".join(parts).encode()

    def _place(self) -> tuple[str, ...]:
        """Which body it has, and where it is shown, as Django's cache middleware sees it."""
        language = self._localized and settings.USE_I18N
        zone = self._localized and settings.USE_TZ
        return (
            keys.part(self._body),
            keys.part(get_language() or "none") if language else "-",
            keys.part(get_current_timezone_name()) if zone else "-",
        )


def fragment_policy(name: str, ttl: Any, options: Mapping[str, Any]) -> CachePolicy:
    """The policy of a fragment; one with a soft ttl serves stale text while one reader renders.

    Args:
        name: its name, for errors.
        ttl: seconds, a timedelta, or a policy.
        options: `soft_ttl` and `stampede`.

    Raises `PolicyError`.
    """
    # Pages are made of many, and all but a few policies are alike.
    key = ("fragment policy", type(ttl), ttl, *((k, type(v), v) for k, v in options.items()))
    try:
        hash(key)
    except TypeError:
        return _policy(name, ttl, options)
    policy: CachePolicy = conf.config().remember(key, lambda: _policy(name, ttl, options))
    return policy


def _policy(name: str, ttl: Any, options: Mapping[str, Any]) -> CachePolicy:
    base = ttl if isinstance(ttl, CachePolicy) else None
    if base is None and (not isinstance(ttl, int | float | timedelta) or isinstance(ttl, bool)):
        raise PolicyError(
            f"fragment {name!r}: {ttl!r} is no ttl. Give seconds, or a variable that holds a "
            "timedelta or a CachePolicy."
        )
    # What it is rendered from is the request's: nobody else could render it.
    changes = {**options, "refresh": "inline"}
    if base is None:
        changes["ttl"] = ttl
    if "soft_ttl" in options:
        changes.setdefault("stampede", "stale_while_revalidate")
    return policy_from(f"fragment {name!r}", base, changes, "cache_aside")


def invalidate_fragment(name: str, *vary: Any) -> None:
    """Have a fragment rendered anew, in every language and time zone.

    In a transaction: from its commit on.

    Args:
        vary: the values that it varies on, all of them; without any, every fragment of the name.
    """
    space = conf.config().key_space()
    drop([Fragment(name, vary).tags(space)[-1]])


def _live(name: str, policy: CachePolicy) -> Live[Render]:
    def source(space: KeySpace) -> Values[Render]:
        return Values(Family(f"fragment {name}", policy, ("fragment", name)), space, _rendered)

    live: Live[Render] = conf.config().remember(("fragment", name, policy), lambda: Live(source))
    return live


def _rendered(asked: Sequence[Asked[Render]]) -> dict[Asked[Render], Any]:
    return {each: each.what() for each in asked}


def _dependencies(models: tuple[Any, ...], name: str) -> Dependencies:
    found: Dependencies = conf.config().remember(
        ("fragment depends", models), lambda: Dependencies(models, f"fragment {name!r}")
    )
    return found
