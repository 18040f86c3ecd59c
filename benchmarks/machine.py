"""What the figures were measured on."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import version

from django.core.cache import cache
from django.db import connection

PACKAGES = ("Django", "psycopg", "redis", "hiredis", "django-redis")
PEERS = ("django-cacheops", "django-cachalot", "dogpile.cache")


def described() -> str:
    """A sentence for docs/benchmarks.md."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgresql = cursor.fetchone()[0].split()[0]
    info = cache.client.get_client().info("server")
    name = "Valkey" if "valkey_version" in info else "Redis"
    server = info.get("valkey_version", info["redis_version"])
    packages = ", ".join(f"{each} {version(each)}" for each in (*PACKAGES, *PEERS))
    return (
        f"Measured on {dt.datetime.now(tz=dt.UTC).date().isoformat()} with "
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgresql}, {name} {server}, {packages}."
    )
