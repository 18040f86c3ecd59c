"""Many processes miss the same row at the same moment."""

from __future__ import annotations

import time
from itertools import chain

import pytest
from django_redis import get_redis_connection

from django_cachepatterns import entry, keys
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.stampede.lease import is_lease
from tests.testapp.models import Item

from .herd.members import Member
from .history.crew import Job, run, spawn
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROCESSES = 4
PK = 1


def test_a_herd_costs_one_load() -> None:
    threads = 60
    Item.objects.create(pk=PK, name="hot", slug="hot", stock=7)
    scene = _scene(lease_ttl=60, lease_wait=60)
    members = _stampede(scene, threads)
    waited = sum(member.waited for member in members)
    longest = max(member.seconds for member in members)
    print(f"\n{len(members)} readers, {waited} waited, {longest:.2f} s at most")
    assert [member.stock for member in members] == [7] * (PROCESSES * threads)
    assert sum(member.loads for member in members) == 1
    assert waited > 200
    assert _entry()[:1] == entry.VALUE


def test_a_loader_that_is_killed_keeps_nobody_waiting_for_long() -> None:
    threads, lease_ttl, lease_wait = 10, 3.0, 1.0
    Item.objects.create(pk=PK, name="hot", slug="hot", stock=7)
    scene = _scene(lease_ttl=lease_ttl, lease_wait=lease_wait)
    dying = Job("tests.acceptance.herd.members:load_and_die", (PK,))
    with pytest.raises(RuntimeError, match="failed"):  # It dies without a word.
        run(scene, [dying], timeout=30)
    assert is_lease(_entry())
    _hold_lease(60)  # However long it takes until the others have been started.
    members = _stampede(scene, threads)
    longest = max(member.seconds for member in members)
    print(f"\n{len(members)} readers, {longest:.2f} s at most for a wait of {lease_wait:g} s")
    assert [member.stock for member in members] == [7] * (PROCESSES * threads)
    assert all(member.waited for member in members)
    assert min(member.seconds for member in members) >= lease_wait * 0.9
    assert longest < lease_wait + 15
    assert is_lease(_entry())  # Nobody has filled on another's lease.
    _hold_lease(lease_ttl)
    assert _seconds_until_cached() < lease_ttl + 15


def _stampede(scene: Scene, threads: int) -> list[Member]:
    everyone = PROCESSES * threads
    arguments = (PK, threads, spawn.Value("i", 0), everyone)
    job = Job("tests.acceptance.herd.members:stampede", arguments)
    return list(chain.from_iterable(run(scene, [job] * PROCESSES, timeout=90)))


def _scene(**policy: float) -> Scene:
    return Scene.here(TIMEOUT=20, POLICIES={"testapp.Item": policy})


def _entry() -> bytes:
    return get_redis_connection("default").get(_key()) or b""


def _key() -> bytes:
    return keys.row(rows_of(Item).family, PK)


def _hold_lease(seconds: float) -> None:
    assert get_redis_connection("default").pexpire(_key(), int(seconds * 1000))


def _seconds_until_cached() -> float:
    began = time.monotonic()
    while _entry()[:1] != entry.VALUE:
        assert Item.objects.get(pk=PK).stock == 7
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    return time.monotonic() - began
