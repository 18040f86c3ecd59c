"""The shop's web server: Django's own, with a thread for each connection."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from typing import Any

import django
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from example_project.servers.ports import HOST

from .processes import is_over

PORT = 8000
"""Taken if it is free, else any other."""


class _QuietHandler(WSGIRequestHandler):
    """Says nothing of requests that went well: visitors make thirty a second."""

    def log_message(self, format: str, *args: Any) -> None:
        if len(args) > 1 and str(args[1]).startswith("5"):
            super().log_message(format, *args)


def serve(stop: Any, report: Connection) -> None:
    """Serve the shop until told to stop. Reports the address."""
    django.setup()
    from example_project.config.wsgi import application

    server = _server()
    server.set_app(StaticFilesHandler(application))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    report.send(f"http://{HOST}:{server.server_port}")
    while not is_over(stop):
        stop.wait(1)
    server.shutdown()
    server.server_close()


class _Server(ThreadedWSGIServer):
    request_queue_size = 64


def _server() -> _Server:
    try:
        return _Server((HOST, PORT), _QuietHandler)
    except OSError:
        return _Server((HOST, 0), _QuietHandler)
