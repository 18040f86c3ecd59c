"""Who is told that entries were invalidated: figures by family, and hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .. import conf, hooks, keys, metrics

_MOST = 10_000
_families: dict[tuple[str, bytes], str | None] = {}


def invalidated(names: Sequence[bytes], reason: str, family: str | None = None) -> None:
    """Count entries by their families, and tell the hooks.

    Args:
        names: keys of entries and tags. Tags are not counted: what depends on them is, by who finds
            it outdated.
        reason: see `hooks.Invalidated`.
        family: of those whose keys do not say it.
    """
    count(names, family)
    if hooks.after_invalidation:
        details = hooks.Invalidated(tuple(names), reason)
        for hook in hooks.after_invalidation:
            hook(details)


def count(names: Sequence[bytes], family: str | None = None) -> None:
    """Count entries by their families; see `invalidated()`."""
    prefix = conf.config().values["KEY_PREFIX"]
    # By what comes before the last colon, and the letter behind it: few tell many keys apart.
    heads = Counter([name[: name.rfind(b":") + 2] for name in names])
    for head, number in heads.items():
        stem, _, letter = head.rpartition(b":")
        found = None if letter == b"~" else _family_of(stem, prefix) or family
        if found is not None:
            metrics.count(found, "invalidation", number)


def is_known(name: bytes) -> bool:
    """Whether a key says which family it is of."""
    stem = name.rpartition(b":")[0]
    return _family_of(stem, conf.config().values["KEY_PREFIX"]) is not None


def _family_of(stem: bytes, prefix: str) -> str | None:
    try:
        return _families[prefix, stem]
    except KeyError:
        if len(_families) >= _MOST:
            _families.clear()
        found = _families[prefix, stem] = keys.family_in(stem.decode(), prefix)
        return found
