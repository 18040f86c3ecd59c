"""How the server is, by its own word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..stores import inspector_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One server. What is `None` it has not said: it is away, or its user may not run INFO.

    Args:
        is_up: whether it answers.
        reason: why it is not up, or why little is known.
        software: `Redis` or `Valkey`.
        version: such as `8.0.1`.
        uptime: seconds.
        used_memory: bytes.
        peak_memory: bytes.
        max_memory: bytes that it may use; 0: no limit.
        policy: its maxmemory-policy.
        fragmentation: bytes it holds for each byte that it uses.
        evicted: keys that it has thrown out for want of room, since it was started.
        expired: keys whose time was over, since then.
        hits, misses: of all commands that read a key, whoever's, since then.
        clients: connections.
        blocked_clients: those that wait: readers for another's load are among them.
        rejected: connections that it has refused since it was started.
        ops: commands per second, now.
        role: `master` or `slave`, its own words.
        replicas: connected to it.
        link_is_up: of a replica, whether its primary answers it.
        keys: in its database 0 and others.
        persistence: how it keeps data: `aof`, `rdb`, `aof+rdb` (`rdb` where it was ever saved).
        save_failed: whether the last save to disk has failed.
        latency: seconds of a round trip from here, the quickest of three.
    """

    is_up: bool
    reason: str | None = None
    software: str | None = None
    version: str | None = None
    uptime: int | None = None
    used_memory: int | None = None
    peak_memory: int | None = None
    max_memory: int | None = None
    policy: str | None = None
    fragmentation: float | None = None
    evicted: int | None = None
    expired: int | None = None
    hits: int | None = None
    misses: int | None = None
    clients: int | None = None
    blocked_clients: int | None = None
    rejected: int | None = None
    ops: int | None = None
    role: str | None = None
    replicas: int | None = None
    link_is_up: bool | None = None
    keys: int | None = None
    persistence: str | None = None
    save_failed: bool | None = None
    latency: float | None = None

    @property
    def hit_ratio(self) -> float | None:
        """Share of reads that found a key, 0 to 1, of everything that uses the server."""
        if self.hits is None or self.misses is None or not self.hits + self.misses:
            return None
        return self.hits / (self.hits + self.misses)

    @property
    def memory_share(self) -> float | None:
        """Used memory by the limit, 0 to 1; `None` where there is no limit."""
        if self.used_memory is None or not self.max_memory:
            return None
        return self.used_memory / self.max_memory


def server(setting: str = "CACHE") -> ServerHealth:
    """How a server is. Never raises: what is wrong is in `reason`.

    Args:
        setting: `CACHE` for entries, `BUFFER_CACHE` for write-behind buffers.
    """
    try:
        inspector = inspector_of(conf.config(), setting)
        latency = inspector.ping()
        info = inspector.info()
    except (StoreUnavailable, PolicyError) as error:
        return ServerHealth(False, str(error))
    if info is None:
        reason = "Its user may not run INFO. Allow it: ACL SETUSER <name> +info."
        return ServerHealth(True, reason, latency=latency)
    return _health(info, latency)


def _health(info: Mapping[str, str], latency: float) -> ServerHealth:
    valkey = info.get("valkey_version")
    return ServerHealth(
        True,
        software="Valkey" if valkey else "Redis",
        version=valkey or info.get("redis_version"),
        uptime=_number(info, "uptime_in_seconds"),
        used_memory=_number(info, "used_memory"),
        peak_memory=_number(info, "used_memory_peak"),
        max_memory=_number(info, "maxmemory"),
        policy=info.get("maxmemory_policy"),
        fragmentation=_as(info, "mem_fragmentation_ratio", float),
        evicted=_number(info, "evicted_keys"),
        expired=_number(info, "expired_keys"),
        hits=_number(info, "keyspace_hits"),
        misses=_number(info, "keyspace_misses"),
        clients=_number(info, "connected_clients"),
        blocked_clients=_number(info, "blocked_clients"),
        rejected=_number(info, "rejected_connections"),
        ops=_number(info, "instantaneous_ops_per_sec"),
        role=info.get("role"),
        replicas=_number(info, "connected_slaves"),
        link_is_up=_as(info, "master_link_status", lambda text: text == "up"),
        keys=_keys(info),
        persistence=_persistence(info),
        save_failed=_save_failed(info),
        latency=latency,
    )


def _as(info: Mapping[str, str], name: str, make: Callable[[str], T]) -> T | None:
    try:
        return make(info[name])
    except (KeyError, ValueError):
        return None


def _number(info: Mapping[str, str], name: str) -> int | None:
    return _as(info, name, int)


def _keys(info: Mapping[str, str]) -> int:
    """Keys in all databases: `db0:keys=5,expires=4,...`."""
    databases = [value for name, value in info.items() if name[:2] == "db" and name[2:].isdigit()]
    return sum(int(each.partition("keys=")[2].partition(",")[0] or 0) for each in databases)


def _persistence(info: Mapping[str, str]) -> str | None:
    aof, saved = info.get("aof_enabled"), info.get("rdb_last_save_time")
    if aof is None:
        return None
    # INFO does not tell whether there are save points, but whether one was ever reached.
    started = info.get("rdb_saves") not in (None, "0")
    kept = [*(["aof"] if aof != "0" else []), *(["rdb"] if started and saved else [])]
    return "+".join(kept) or "none"


def _save_failed(info: Mapping[str, str]) -> bool | None:
    said = [info[name] for name in _SAVES if name in info]
    return any(each != "ok" for each in said) if said else None


_SAVES = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
