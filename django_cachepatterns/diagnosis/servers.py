"""A cache server, by its own word."""

from __future__ import annotations

from collections.abc import Iterator

from .. import conf, inspection
from ..clock import SYSTEM_CLOCK
from ..exceptions import StoreUnavailable
from ..inspection.health import ServerHealth
from ..stores import figures_of
from .finding import Finding, fine, warning, wrong

LEAST = (7, 0)
"""The oldest Redis whose commands are used. Every Valkey is newer."""
FULL = 0.9
"""Share of the memory from which on a server is nearly full."""
SLOW = 0.25
"""Share of TIMEOUT that a round trip may take in quiet times."""
SKEW = 1.0
"""Seconds that clocks may differ."""


def server(setting: str) -> Iterator[Finding]:
    """What is to be said of the server of CACHE or BUFFER_CACHE."""
    about = "cache server" if setting == "CACHE" else "buffer server"
    alias = conf.config().values[setting]
    health = inspection.server(setting)
    if not health.is_up:
        yield wrong(
            about,
            f"The server of CACHES[{alias!r}] does not answer: {health.reason}",
            "Start it, or look at LOCATION and the password. Until then reads go to the database.",
        )
        return
    if health.version is None:
        yield warning(about, f"It answers, but says nothing of itself. {health.reason}", "")
        return
    yield fine(about, _described(health, alias))
    yield from _version(about, health)
    yield from _role(about, health)
    yield from _memory(about, health, setting)
    yield from _connections(about, health)
    yield from _distance(about, health)
    if setting == "CACHE":
        yield from _clock(about)


def _described(health: ServerHealth, alias: str) -> str:
    milliseconds = (health.latency or 0) * 1000
    limit = f"{health.max_memory / 1e6:,.0f} MB" if health.max_memory else "no limit"
    return (
        f"CACHES[{alias!r}] is {health.software} {health.version}, {milliseconds:.2f} ms away, "
        f"{(health.used_memory or 0) / 1e6:,.0f} MB used of {limit}, {health.policy}."
    )


def _version(about: str, health: ServerHealth) -> Iterator[Finding]:
    if health.software == "Valkey" or health.version is None:
        return
    numbers = tuple(int(part) for part in health.version.split(".")[:2] if part.isdigit())
    if numbers < LEAST:
        yield wrong(
            about,
            f"Redis {health.version} does not have what the protocol needs.",
            "Use Redis 7.0 or later, or Valkey.",
        )


def _role(about: str, health: ServerHealth) -> Iterator[Finding]:
    if health.role == "slave":
        yield wrong(
            about,
            "It is a replica: it takes no leases and no marks.",
            "Point LOCATION at the primary, or at Sentinel.",
        )
    if health.save_failed:
        yield wrong(
            about,
            "Its last save to disk has failed. Redis refuses writes after that, unless "
            "stop-writes-on-bgsave-error is no.",
            "See its log; often the disk is full, or memory for the copy is missing.",
        )


def _memory(about: str, health: ServerHealth, setting: str) -> Iterator[Finding]:
    share = health.memory_share
    if setting == "CACHE" and health.max_memory and health.policy == "noeviction":
        yield warning(
            about,
            "maxmemory-policy is noeviction: when its memory is full, it refuses what is new "
            "instead of dropping what is old, and reads go to the database.",
            "For a server of cached entries alone set allkeys-lru or allkeys-lfu. Keep noeviction "
            "where write-behind buffers live on it, and have BUFFER_CACHE elsewhere.",
        )
    if share is not None and share > FULL:
        yield warning(
            about,
            f"{share:.0%} of its memory are used, and {health.evicted or 0:,} keys were evicted "
            "since it was started.",
            "Raise maxmemory, shorten ttls, or set max_size and admit_after in policies. A mark "
            "that is evicted in mid-transaction is the one thing that may leave a stale entry.",
        )


def _connections(about: str, health: ServerHealth) -> Iterator[Finding]:
    if health.rejected:
        yield warning(
            about,
            f"It has refused {health.rejected:,} connections since it was started.",
            "Raise its maxclients: each thread of the site keeps one connection.",
        )


def _distance(about: str, health: ServerHealth) -> Iterator[Finding]:
    timeout = conf.config().timeout
    if health.latency is not None and health.latency > SLOW * timeout:
        yield warning(
            about,
            f"A round trip takes {health.latency * 1000:.1f} ms, and TIMEOUT is {timeout:g} s: "
            "under load reads will time out and go to the database.",
            "Bring the server nearer, or raise TIMEOUT.",
        )


def _clock(about: str) -> Iterator[Finding]:
    config = conf.config()
    try:
        before = SYSTEM_CLOCK.time()
        theirs = figures_of(config).time()
        off = theirs - (before + SYSTEM_CLOCK.time()) / 2
    except StoreUnavailable:
        return
    if abs(off) > SKEW:
        yield warning(
            about,
            f"Its clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} this machine's.",
            "Keep both by NTP: soft_ttl is judged by the clocks of the site's machines. Leases, "
            "marks and ttls are judged by the server's alone.",
        )
