"""Both servers for the length of a ``with`` block."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .postgres import Postgres, running_postgres
from .reaper import start_reaper
from .valkey import Valkey, running_valkey


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are. A handle is None where the server was there already."""

    database_url: str
    redis_url: str
    postgres: Postgres | None = None
    valkey: Valkey | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What tells a child process where the servers are."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


@contextlib.contextmanager
def running_servers(data_dir: Path | None = None, *, durable: bool = True) -> Iterator[Servers]:
    """Start PostgreSQL and Valkey, each unless its URL is in the environment.

    ``data_dir`` keeps PostgreSQL's data for the next time; without it everything is removed.
    ``durable=False`` turns off what makes PostgreSQL survive a power cut, for tests.
    """
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    postgres = valkey = None
    with contextlib.ExitStack() as stack:
        if not (database_url and redis_url):
            folder = stack.enter_context(_folder(data_dir))
        if not redis_url:
            valkey = stack.enter_context(running_valkey(folder))
            redis_url = valkey.url
        if not database_url:
            postgres = stack.enter_context(running_postgres(folder, durable=durable))
            database_url = postgres.url
        yield Servers(database_url, redis_url, postgres, valkey)


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    """The servers' folder, and a reaper for as long as they may have processes in it."""
    if data_dir is None:
        folder = Path(tempfile.mkdtemp(prefix="cachepatterns-")).resolve()
    else:
        folder = data_dir.resolve()
        folder.mkdir(parents=True, exist_ok=True)
    with start_reaper(folder, remove=data_dir is None) as reaper:
        try:
            yield folder
        finally:
            if data_dir is None:
                shutil.rmtree(folder, ignore_errors=True)
            assert reaper.stdin is not None
            reaper.stdin.close()
