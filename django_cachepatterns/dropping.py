"""Dropping entries: of a model, a function or a name, of a tag, or all there are.

Keys are found by SCAN and dropped in batches, see `drop.lua`: values, absences and leases go, so
that no load under way is stored afterwards; the marks of open transactions stay. Write-behind
buffers, metrics, and whatever else is no entry are not touched.

In a transaction this acts at once, and what the transaction has written by raw SQL is not seen by
those who load meanwhile: drop after the commit, or use `invalidate()`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from django.apps import apps
from django.db.models import Model
from django.utils.module_loading import import_string

from . import conf, keys
from .cache_aside import CachedFunction, cached_functions
from .exceptions import PolicyError, StoreUnavailable
from .invalidation import registry
from .keys import KeySpace
from .read_through import named_values
from .stores import inspector_of, store_of
from .stores.redis import glob
from .transactions import noting
from .write_behind.registry import buffers

T = TypeVar("T")

SCANNED = 1000
"""Keys that the server looks at in one step."""
PAUSES = (0.1, 0.5)
"""Seconds between tries of a step."""

Progress = Callable[[int], object]
"""Told, now and then, how many entries were dropped so far."""


class EveryTenant:
    """Whoever's entries they are."""


EVERY_TENANT = EveryTenant()
Tenant = str | EveryTenant | None
"""A tenant's name, `None` for entries that are of no tenant, or `EVERY_TENANT`."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped: entries, by what they were of. Leases and tags count, too."""

    by_family: Mapping[str, int] = field(default_factory=dict)

    @property
    def entries(self) -> int:
        """How many there were."""
        return sum(self.by_family.values())


@dataclass(frozen=True, slots=True)
class Part:
    """What a drop has done in its time.

    Args:
        entries: how many it has dropped.
        at: where to go on; `None`: it has come to the end.
        share: of the server's keys, how many were looked through, from 0 to 1; about.
    """

    entries: int
    at: int | None = None
    share: float = 1.0


class _Kind(NamedTuple):
    """Some keys: how they begin after the prefix, for the server, and which of those they are."""

    name: str
    glob: bytes
    pattern: re.Pattern[bytes]


def drop_entries(
    *targets: type[Model] | str, tenant: Tenant = EVERY_TENANT, on_progress: Progress | None = None
) -> Dropped:
    """Drop every entry of models, functions, values or fragments; in every database.

    Args:
        targets: models, or names as metrics have them: `shop.product`, `shop.product:list`,
            `shop.search.search`, the name of a `ReadThrough`, `fragment sidebar`.
        tenant: whose.
        on_progress: see `Progress`.

    Raises `PolicyError` for a name that nothing cached has, and `StoreUnavailable`.
    """
    kinds = [kind for target in targets for kind in _kinds_of(target)]
    return _drop(kinds, tenant, on_progress, True) if kinds else Dropped()


def drop_tags(
    *names: str, tenant: Tenant = EVERY_TENANT, on_progress: Progress | None = None
) -> Dropped:
    """Drop tags of the user's own: what depends on them is loaded anew when it is next asked for.

    `Dropped` counts the tags that there were, not what depends on them.

    Raises `StoreUnavailable`.
    """
    kinds = [_tag(name) for name in names]
    return _drop(kinds, tenant, on_progress) if kinds else Dropped()


def drop_part(target: str, seconds: float, at: int = 0, is_tag: bool = False) -> Part:
    """What `drop_entries` or `drop_tags` does, of every tenant, for as long as there is time.

    Whatever was there when the first part began is gone when a part has come to the end.

    Args:
        target: one name.
        seconds: after which no further step begins.
        at: where an earlier part has ended; 0: the beginning.
        is_tag: whether the name is that of a tag.

    Raises as those do.
    """
    kinds = [_tag(target)] if is_tag else list(_kinds_of(target))
    config, entries, until = conf.config(), 0, monotonic() + seconds
    roots = _roots(config, EVERY_TENANT)
    for cursor, found in _scanned(config, _pattern(kinds, config, EVERY_TENANT), at):
        dropped = _drop_found(config, _sorted(found, roots, kinds), not is_tag)
        entries += dropped.total()
        if cursor and monotonic() >= until:
            return Part(entries, cursor, _share(cursor))
    return Part(entries)


def _share(cursor: int) -> float:
    """How far a SCAN has come: cursors count up from their highest bit."""
    bits = f"{cursor:b}"[::-1]
    return int(bits, 2) / 2 ** len(bits)


def drop_all(tenant: Tenant = EVERY_TENANT, on_progress: Progress | None = None) -> Dropped:
    """Drop every entry, and every tag. Raises `StoreUnavailable`."""
    kinds = [_Kind("", b"", re.compile(rb"(?P<name>[^:.]+\.[^:@]+)(?:@[^:]+)?:.*", re.DOTALL))]
    for word in ("value", "fragment"):
        pattern = rb"(?P<name>%b:[^:~]+).*" % word.encode()
        kinds.append(_Kind("", b"", re.compile(pattern, re.DOTALL)))
    kinds += [_kind("functions", "fn:", "*"), _kind("tags", "tag:", "*")]
    return _drop(kinds, tenant, on_progress)


def check(*targets: type[Model] | str) -> None:
    """Raise what `drop_entries()` would raise for names that nothing cached has: `PolicyError`."""
    for target in targets:
        list(_kinds_of(target))


def families() -> list[str]:
    """The names that `drop_entries()` takes, as far as this process knows them."""
    models = [model._meta.label for model in registry.tracked_models() if _is_droppable(model)]
    return [*sorted(models), *sorted(named_values()), *sorted(cached_functions())]


def _kinds_of(target: type[Model] | str) -> Iterator[_Kind]:
    if not isinstance(target, str):
        yield from _of_model(target)
        return
    label, _, part = target.partition(":")
    model = _model(label)
    if model is not None and part in ("", "list"):
        yield from _of_model(model, part)
    elif target in named_values():
        yield _kind(target, f"value:{keys.part(target)}:", "*")
    elif (function := _function(target)) is not None:
        yield _of_function(target, function.key_literals)
    elif target.startswith("fragment "):
        name = f"fragment:{keys.part(target.removeprefix('fragment '))}"
        yield _kind(target, f"{name}:", "*")
        yield _kind(target, f"{name}~all")
    elif (buffer := _buffer(target)) is not None:
        raise PolicyError(
            f"{buffer!r} is a write-behind buffer: what waits in it is not in the database yet, so "
            "it is never dropped. Flush it: 'Flush buffers' in the dashboard, or manage.py "
            f"flush_write_behind {quote(buffer)}."
        )
    else:
        raise PolicyError(
            f"Nothing that is cached is called {target!r}. Known are: {', '.join(families())}. "
            "(Functions and values are known once their modules are imported.)"
        )


def _of_model(model: type[Model], part: str = "") -> Iterator[_Kind]:
    """A model's rows, lookups, lists and tags, or its lists alone."""
    if not _is_droppable(model):
        raise PolicyError(
            f"Nothing of {model._meta.label} is cached. Derive it from CachedModel, or name it in "
            f"CACHEPATTERNS['POLICIES']: {{'{model._meta.label}': {{}}}}."
        )
    label = (model._meta.concrete_model or model)._meta.label_lower
    rest = rb"~q:.*" if part else rb".*"
    pattern = re.compile(rb"%b(?:@[^:]+)?:%b" % (re.escape(label.encode()), rest), re.DOTALL)
    yield _Kind(f"{label}:{part}" if part else label, glob(label.encode()) + b"[:@]*", pattern)


def _of_function(name: str, literals: Sequence[str]) -> _Kind:
    texts = [literal.encode("utf-8", "surrogatepass") for literal in literals]
    pattern = b"[^:]+".join(map(re.escape, texts))
    return _Kind(name, b"fn:" + b"*".join(map(glob, texts)), re.compile(b"fn:" + pattern))


def _tag(name: str) -> _Kind:
    return _kind(f"tag {name}", f"tag:{keys.part(name)}")


def _kind(name: str, start: str, rest: str = "") -> _Kind:
    """Keys that begin with a text, and go on where there is a rest."""
    text = start.encode()
    pattern = re.compile(re.escape(text) + (b".*" if rest else b""), re.DOTALL)
    return _Kind(name, glob(text) + rest.encode(), pattern)


def _model(label: str) -> type[Model] | None:
    try:
        return apps.get_model(label) if label.count(".") == 1 else None
    except LookupError:
        return None


def _function(name: str) -> CachedFunction[Any, Any] | None:
    """A cached function by its dotted name, whose module may not have been imported yet."""
    found = cached_functions().get(name)
    if found is None and "." in name:
        try:
            made = import_string(name)
        except ImportError:
            return None
        found = made if isinstance(made, CachedFunction) else None
    return found


def _buffer(name: str) -> str | None:
    """The buffer of a name, however that is spelled."""
    return next((each.name for each in buffers() if each.name.lower() == name.lower()), None)


def _is_droppable(model: type[Model]) -> bool:
    return registry.is_tracked(model) and not model._meta.auto_created


def _drop(
    kinds: Sequence[_Kind],
    tenant: Tenant,
    on_progress: Progress | None,
    named_by_metrics: bool = False,
) -> Dropped:
    config = conf.config()
    roots = _roots(config, tenant)
    counts: Counter[str] = Counter()
    for _, found in _scanned(config, _pattern(kinds, config, tenant)):
        named = _sorted(found, roots, kinds)
        counts += _drop_found(config, named, named_by_metrics)
        if on_progress is not None and named:
            on_progress(counts.total())
    return Dropped(dict(counts))


def _drop_found(
    config: conf.Config, named: Mapping[str, list[bytes]], named_by_metrics: bool
) -> Counter[str]:
    """Drop keys by the names of what they are of; how many there were."""
    store = store_of(config)
    counts: Counter[str] = Counter()
    for name, some in named.items():
        counts[name] += _patiently(lambda some=some: store.drop(some))  # type: ignore[misc]
        noting.invalidated(some, "invalidate", name if named_by_metrics else None)
    return counts


def _scanned(
    config: conf.Config, pattern: bytes, cursor: int = 0
) -> Iterator[tuple[int, list[bytes]]]:
    """The keys that match, some at a time, and the next cursor: all that are there from now on to
    the end."""
    inspector, at = inspector_of(config, "CACHE"), b"%d" % cursor
    while True:
        at, found = _patiently(
            lambda at=at: inspector.scan_for(pattern, at, SCANNED)  # type: ignore[misc]
        )
        yield int(at), found
        if int(at) == 0:
            return


def _patiently(act: Callable[[], T]) -> T:
    """Do a step of many again where the server was busy for a moment. Each may be repeated."""
    for pause in PAUSES:
        try:
            return act()
        except StoreUnavailable:
            sleep(pause)
    return act()


def _pattern(kinds: Sequence[_Kind], config: conf.Config, tenant: Tenant) -> bytes:
    """What to scan for. A scan looks at every key of the server, so there is one for all kinds."""
    prefix = config.values["KEY_PREFIX"]
    if isinstance(tenant, EveryTenant):
        start = (b"" if config.tenant is None else b"*") + glob(f"{prefix}:".encode())
    else:
        start = glob(f"{KeySpace(prefix, tenant).root}:".encode())
    return start + (kinds[0].glob if len(kinds) == 1 else b"") + b"*"


def _roots(config: conf.Config, tenant: Tenant) -> re.Pattern[bytes]:
    """What keys begin with."""
    prefix = config.values["KEY_PREFIX"]
    if not isinstance(tenant, EveryTenant):
        return re.compile(re.escape(f"{KeySpace(prefix, tenant).root}:".encode()))
    return re.compile(rb"(?:tenant:[^:]+:)?" + re.escape(f"{prefix}:".encode()))


def _sorted(
    found: Iterable[bytes], roots: re.Pattern[bytes], kinds: Iterable[_Kind]
) -> dict[str, list[bytes]]:
    """Keys by the names of what they are of; without those that are of nothing here."""
    named: dict[str, list[bytes]] = {}
    for key in found:
        root = roots.match(key)
        # Who waits for a load is told by it, or looks again; these last for a second.
        if root is None or key.endswith((b"~waiting", b"~wake")):
            continue
        for kind in kinds:
            fits = kind.pattern.fullmatch(key, root.end())
            if fits:
                name = kind.name or fits["name"].decode()
                named.setdefault(name, []).append(key)
                break
    return named
