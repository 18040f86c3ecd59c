"""Commands whose reader goes away (`| head`) end without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.processes import PATIENCE, ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.mark.parametrize(
    "command", ["cache_stats", "cache_stats --json", "cache_stats --watch", "warm_cache"]
)
def test_a_command_that_nobody_reads(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "django", *command.split(), "--skip-checks"],
        env=environment(),
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")
