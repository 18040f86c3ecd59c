"""Many processes miss the same value at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import pytest
from django_redis import get_redis_connection

from django_cachepatterns import entry, keys
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.stampede.lease import is_lease
from tests.testapp.models import Item

from .herd.members import Member, wait_for_all
from .herd.targets import KEY, lay, target
from .history.crew import Job, at_work, run, spawn
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROCESSES = 4
THREADS = 250
"""Of each process: a thousand misses in all."""
TIMEOUT = 20
"""Seconds that the cache may take: with a thousand readers on two CPUs it is late, not away."""


def test_a_herd_costs_one_load() -> None:
    lay()
    names = ("row", "list", "function")
    for name, members in zip(names, _stampede(names, THREADS), strict=True):
        _print(name, members)
        assert [member.value for member in members] == [target(name).old] * (PROCESSES * THREADS)
        assert sum(member.loads for member in members) == 1
        # All but the one who loaded: nothing is stored before they wait.
        assert sum(member.waited for member in members) >= len(members) - 1


def test_an_invalidation_amid_a_herd_costs_one_more(settings: Any) -> None:
    # What does the change is this process: were its second step too late, all would load for long.
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TIMEOUT": TIMEOUT}
    lay()
    names = ("row", "list", "function", "tagged")
    for name, members in zip(names, _stampede(names, THREADS, amid=_change), strict=True):
        _print(name, members)
        wanted = target(name)
        assert all(member.value in (wanted.old, wanted.new) for member in members)
        assert 1 <= sum(member.loads for member in members) <= 2
        assert wanted.read() == wanted.new


def test_a_loader_that_is_killed_keeps_nobody_waiting_for_long() -> None:
    threads, lease_ttl, lease_wait = 10, 3.0, 1.0
    lay()
    scene = _scene(lease_ttl=lease_ttl, lease_wait=lease_wait)
    dying = Job("tests.acceptance.herd.members:load_and_die")
    with pytest.raises(RuntimeError, match="failed"):  # It dies without a word.
        run(scene, [dying], timeout=30)
    assert is_lease(_entry())
    _hold_lease(60)  # However long it takes until the others have been started.
    (members,) = _stampede(["row"], threads, scene=scene)
    _print("row", members)
    assert [member.value for member in members] == [7] * (PROCESSES * threads)
    assert all(member.waited for member in members)
    assert min(member.seconds for member in members) >= lease_wait * 0.9
    assert max(member.seconds for member in members) < lease_wait + 15
    assert is_lease(_entry())  # Nobody has filled on another's lease.
    _hold_lease(lease_ttl)
    assert _seconds_until_cached() < lease_ttl + 15


def _stampede(
    names: Sequence[str],
    threads: int,
    amid: Callable[[str], object] | None = None,
    scene: Scene | None = None,
) -> list[list[Member]]:
    """Let a herd read one value after another, and do something while it waits for the load."""
    everyone = PROCESSES * threads
    wanted = [(name, spawn.Value("i", 0)) for name in names]
    job = Job("tests.acceptance.herd.members:stampede", (wanted, threads, everyone))
    with at_work(scene or _scene(lease_ttl=60, lease_wait=60), [job] * PROCESSES) as crew:
        if amid is not None:
            for name, waiting in wanted:
                wait_for_all(waiting, everyone - 1)
                amid(name)
        results = crew.results(timeout=90)
    return [list(chain.from_iterable(each)) for each in zip(*results, strict=True)]


def _change(name: str) -> None:
    target(name).change()


def _print(name: str, members: list[Member]) -> None:
    longest = max(member.seconds for member in members)
    print(
        f"\n{name}: {len(members)} readers, {sum(member.loads for member in members)} loads, "
        f"{sum(member.waited for member in members)} waited, {longest:.2f} s at most"
    )


def _scene(**policy: float) -> Scene:
    policies = dict.fromkeys(("testapp.Item", "testapp.Piece"), policy)
    return Scene.here(TIMEOUT=TIMEOUT, POLICIES=policies)


def _entry() -> bytes:
    return get_redis_connection("default").get(_key()) or b""


def _key() -> bytes:
    return keys.row(rows_of(Item).family, KEY)


def _hold_lease(seconds: float) -> None:
    assert get_redis_connection("default").pexpire(_key(), int(seconds * 1000))


def _seconds_until_cached() -> float:
    began = time.monotonic()
    while _entry()[:1] != entry.VALUE:
        assert Item.objects.get(pk=KEY).stock == 7
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    return time.monotonic() - began
