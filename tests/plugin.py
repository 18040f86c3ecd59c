"""Starts the servers of a test run.

A plugin and not a part of ``conftest.py``, because pytest-django loads the settings, which name the
servers, before any conftest is imported.
"""

from __future__ import annotations

import os

import pytest

from example_project.servers import running_servers

from .browser.chromium import REMEDY, chromium


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start both servers once: the workers of pytest-xdist inherit the environment."""
    options = early_config.known_args_namespace
    if options.help or options.version or "PYTEST_XDIST_WORKER" in os.environ:
        return
    servers = running_servers(durable=False)
    os.environ |= servers.__enter__().environment
    early_config.add_cleanup(lambda: servers.__exit__(None, None, None))


def pytest_report_header() -> str:
    """Say at the top which browser there is, or that tests are left out for want of one."""
    return f"browser: {chromium() or f'none, so tests marked browser are left out. {REMEDY}'}"
