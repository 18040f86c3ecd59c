"""The demo as a user runs it: it ends by itself, or with Ctrl-C, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.request import urlopen

import psutil
import pytest

pytestmark = pytest.mark.slow

SMALL = ["--products", "300", "--readers", "1", "--writers", "1"]
PATIENCE = 120.0


def _started(*arguments: str) -> subprocess.Popen[str]:
    # Servers of its own, and a session: so that Ctrl-C can be sent to all of its processes.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    }
    return subprocess.Popen(
        [sys.executable, "-m", "example_project.demo", *SMALL, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A job in the background of a script is started with Ctrl-C ignored, and hands that down.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )


@contextmanager
def _nothing_left(process: subprocess.Popen[str]) -> Iterator[None]:
    known = psutil.Process(process.pid)
    seen: set[psutil.Process] = set()
    try:
        yield
        seen.update(known.children(recursive=True))
        assert seen, "Nothing was running: a test that cannot fail."
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, (out, err)
        assert err == ""
        assert "hit rate" in out
        _, alive = psutil.wait_procs(list(seen), timeout=20)
        assert not alive
    finally:
        process.kill()


def test_it_ends_by_itself_with_a_report() -> None:
    process = _started("--seconds", "6")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (out, err)
    assert err == ""
    assert "without cache" in out
    assert "shop.product" in out


def test_the_shop_stays_open_until_ctrl_c() -> None:
    process = _started("--round", "1")
    with _nothing_left(process):
        address = _address(process)
        with urlopen(address) as answer:
            assert b"Catalog" in answer.read()
        with urlopen(address + "admin/login/") as answer:
            assert b"csrfmiddlewaretoken" in answer.read()
        with urlopen(address + "static/admin/css/base.css") as answer:
            assert answer.status == 200


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"the shop +(http://\S+)", line):
            return found[1]
    raise AssertionError("It said no address.")
