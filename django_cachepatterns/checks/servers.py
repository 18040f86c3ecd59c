"""What the server of write-behind buffers may lose: asked of the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from .. import conf
from ..exceptions import StoreUnavailable
from ..stores import RedisBuffers, buffers_of
from ..write_behind import registry
from .buffers import unfit_cache
from .errors import with_settings


@register(Tags.caches)
@with_settings
def check_buffer_server(**kwargs: Any) -> Iterator[CheckMessage]:
    """What can be lost on the server of BUFFER_CACHE. Where there is no buffer, nothing is asked.

    It takes at most a few times the setting TIMEOUT.
    """
    if not registry.buffers():
        return
    try:
        if unfit_cache() is not None:
            return
        server = buffers_of(conf.config())
    except (ImproperlyConfigured, ImportError, TypeError, ValueError):
        return  # Another check says so.
    try:
        yield from _eviction_problems(server.info("memory"))
        yield from _persistence_problems(server)
    except StoreUnavailable as error:
        yield _warning(
            "W008",
            f"cannot be asked what it may lose ({error}).",
            "Start it, look at LOCATION in CACHES, or let its user run INFO. While it is away, "
            "what is counted goes straight to the database.",
        )


def _eviction_problems(memory: dict[str, str]) -> Iterator[CheckMessage]:
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return
    hint = (
        "Set maxmemory-policy to noeviction, or point BUFFER_CACHE at a server of its own. What a "
        "full server refuses goes straight to the database."
    )
    if memory.get("maxmemory", "0") == "0":
        yield _warning(
            "W006",
            f"has maxmemory-policy {policy}. It evicts nothing while maxmemory is 0; as soon as "
            "that is set, it may evict what waits to be flushed.",
            hint,
        )
    elif policy.startswith("volatile"):
        yield _warning(
            "W005",
            f"has maxmemory-policy {policy}: when its memory is full, it evicts keys that expire. "
            "Among them are the ids of operations, without which a change that is sent again "
            "counts twice (strict=True).",
            hint,
        )
    else:
        yield _warning(
            "W005",
            f"has maxmemory-policy {policy}: when its memory is full, it evicts what waits to be "
            "flushed, and that is lost.",
            hint,
        )


def _persistence_problems(server: RedisBuffers) -> Iterator[CheckMessage]:
    if server.info("persistence").get("aof_enabled", "0") != "0":
        return
    points = server.setting("save")
    if points:
        return
    seen = "no save points" if points is not None else "and its save points cannot be asked for"
    yield _warning(
        "W007",
        f"keeps nothing on disk (appendonly is no, {seen}): when it crashes or is restarted, all "
        "that waits to be flushed is lost.",
        "Set appendonly yes: with appendfsync everysec a crash loses up to a second, with always "
        "nothing. Where that may be lost, silence this check in SILENCED_SYSTEM_CHECKS.",
    )


def _warning(code: str, message: str, hint: str) -> CheckMessage:
    alias = conf.config().values["BUFFER_CACHE"]
    return Warning(
        f"The server of BUFFER_CACHE {alias!r} {message}", hint=hint, id=f"cachepatterns.{code}"
    )
