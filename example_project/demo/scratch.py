"""A database and a part of the cache of the demo's own, on whatever servers there are."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from example_project.servers import Servers


@contextlib.contextmanager
def scratch(servers: Servers) -> Iterator[dict[str, str]]:
    """What to set in the environment; both are gone at the end, and nothing else is touched."""
    name = f"cachepatterns_demo_{secrets.token_hex(4)}"
    with _database(servers.database_url, name) as url, _keys(servers.redis_url, name):
        yield {"DATABASE_URL": url, "REDIS_URL": servers.redis_url, "CACHEPATTERNS_PREFIX": name}


@contextlib.contextmanager
def _database(url: str, name: str) -> Iterator[str]:
    identifier = sql.Identifier(name)
    _execute(url, sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@contextlib.contextmanager
def _keys(url: str, prefix: str) -> Iterator[None]:
    try:
        yield
    finally:
        # A server that is gone, as after Ctrl-C, has taken the keys along.
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
            for key in client.scan_iter(f"{prefix}:*", count=1000):
                client.unlink(key)
