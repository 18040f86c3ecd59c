from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings

from django_cachepatterns import conf, entry
from django_cachepatterns.stores import RedisStore, Store, store_of
from django_cachepatterns.stores.pool import make_pool
from django_cachepatterns.testing import contract
from django_cachepatterns.testing.contract import LONG, StoreContract, WaitContract

from .wire import Wire

WRITER, SECOND = entry.new_token(), entry.new_token()


class TestRedisStore(StoreContract):
    key_prefix = settings.KEY_PREFIX.encode() + b":contract:"

    @pytest.fixture
    def store(self) -> RedisStore:
        return store_of(conf.config())

    @pytest.fixture(autouse=True)
    def _client(self, redis_client: redis.Redis) -> None:
        self.client = redis_client

    def put_foreign(self, store: Store, key: bytes) -> None:
        self.client.rpush(key, "not", "a", "string")

    # Nothing stays for ever, to the millisecond

    def assert_lasts(self, key: bytes, milliseconds: int) -> None:
        assert milliseconds - 5_000 < self.client.pttl(key) <= milliseconds

    def test_every_lease_has_its_lifetime(self, store: Store, keys: list[bytes]) -> None:
        lease = entry.lease(entry.new_token())
        self.client.set(keys[1], b"useless")
        self.put_foreign(store, keys[2])
        store.lease(keys[:1], lease, LONG)
        store.lease_over(keys[1:], [b"useless", b""], lease, LONG)
        for key in keys:
            self.assert_lasts(key, LONG)

    def test_every_entry_has_its_lifetime(self, store: Store, key: bytes) -> None:
        self.put(store, key, b"V")
        self.assert_lasts(key, LONG)

    def test_a_refresh_has_the_lifetime_of_its_value(self, store: Store, key: bytes) -> None:
        self.put(store, key, b"V")
        store.lease_refresh(key, b"V", entry.refresh_lease(entry.new_token(), 2**42))
        self.assert_lasts(key, LONG)

    def test_what_is_filled_over_a_refresh_has_a_lifetime(self, store: Store, key: bytes) -> None:
        refresh = entry.refresh_lease(entry.new_token(), 2**42)
        self.put(store, key, b"V")
        store.lease_refresh(key, b"V", refresh)
        store.fill([key], refresh[: contract.LEASE_SIZE], [b"V2"], [2 * LONG])
        self.assert_lasts(key, 2 * LONG)

    def test_what_is_installed_has_its_lifetime(self, store: Store, key: bytes) -> None:
        store.begin_write([key], WRITER, LONG)
        seen = [self.client.get(key)]
        store.install([key], seen, WRITER, [b"V"], [3 * LONG])
        self.assert_lasts(key, 3 * LONG)

    def test_the_mark_that_a_refused_install_leaves_has_a_lifetime(
        self, store: Store, key: bytes
    ) -> None:
        store.begin_write([key], WRITER, LONG)
        seen = [self.client.get(key)]
        store.begin_write([key], SECOND, LONG)
        assert store.install([key], seen, WRITER, [b"V"], [LONG]) == [False]
        self.assert_lasts(key, LONG)

    @pytest.mark.parametrize("ends", ["fill", "release", "begin_write", "drop", "nothing"])
    def test_what_waiters_leave_behind_expires_soon(
        self, store: Store, key: bytes, ends: str
    ) -> None:
        lease = entry.lease(entry.new_token())
        store.lease([key], lease, LONG)
        for _ in range(3):
            store.wait([key], 0.001)
        notes = [key + b"~waiting", key + b"~wake"]
        assert 0 < self.client.pttl(notes[0]) <= 1_000
        calls: dict[str, Callable[[], object]] = {
            "fill": lambda: store.fill([key], lease, [b"V"], [LONG]),
            "release": lambda: store.release([key], lease),
            "begin_write": lambda: store.begin_write([key], WRITER, LONG),
            "drop": lambda: store.drop([key]),
            "nothing": lambda: None,
        }
        calls[ends]()
        left = list(self.client.scan_iter(key + b"~*"))
        assert set(left) <= set(notes)
        for note in left:
            # Gone by now, or soon.
            assert self.client.pttl(note) in (-2, *range(1, 1_001))

    def test_every_tag_has_a_lifetime(self, store: Store, keys: list[bytes]) -> None:
        lease = entry.lease(entry.new_token())
        store.lease(keys[:1], lease, LONG, [keys[1]], entry.tag(entry.new_token()))
        assert 0 < self.client.pttl(keys[1]) <= 24 * 3600 * 1000

    @pytest.mark.parametrize("found", [None, b"V", b"W", b"W" + b"?" * 29, "foreign"])
    def test_a_mark_has_the_lifetime_of_its_writer(
        self, store: Store, key: bytes, found: bytes | str | None
    ) -> None:
        if found == "foreign":
            self.put_foreign(store, key)
        elif found is not None:
            self.client.set(key, found)
        store.begin_write([key], WRITER, LONG)
        self.assert_lasts(key, LONG)
        ((writer, deadline),) = entry.writers_of(self.client.get(key))
        assert writer == WRITER
        assert 0 <= deadline - self.now() <= LONG

    def test_a_mark_has_the_lifetime_of_its_longest_writer(self, store: Store, key: bytes) -> None:
        store.begin_write([key], WRITER, 2 * LONG)
        store.begin_write([key], SECOND, LONG)
        self.assert_lasts(key, 2 * LONG)
        store.end_write([key], WRITER)
        self.assert_lasts(key, LONG)

    def test_a_mark_has_a_lifetime_after_the_end_of_a_lost_one(
        self, store: Store, key: bytes
    ) -> None:
        store.begin_write([key], SECOND, LONG)
        store.end_write([key], WRITER)
        self.assert_lasts(key, LONG)

    def test_a_key_that_lost_its_lifetime_gets_one(self, store: Store, key: bytes) -> None:
        store.begin_write([key], WRITER, LONG)
        self.client.persist(key)
        store.begin_write([key], SECOND, LONG)
        self.assert_lasts(key, LONG)

    def now(self) -> int:
        seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


class TestWaits(WaitContract):
    """With a connection that has the patience for a wait that is longer than a wake-up takes."""

    key_prefix = settings.KEY_PREFIX.encode() + b":waits:"

    @pytest.fixture
    def store(self) -> Iterator[RedisStore]:
        store = RedisStore(make_pool("default", 4 * contract.PATIENCE))
        yield store
        store.close()


@pytest.mark.parametrize("sends_before", [0, 1])
@pytest.mark.parametrize("ends", ["fill", "release"])
def test_a_lease_that_ends_before_the_note_or_after_the_look_wakes_who_comes_to_wait(
    sends_before: int, ends: str
) -> None:
    wire, other = Wire(timeout=40), Wire(timeout=5)
    key = settings.KEY_PREFIX.encode() + b":waits:between"
    lease = entry.lease(entry.new_token())
    wire.store.lease([key], lease, LONG)

    def end() -> None:
        if ends == "fill":
            assert other.store.fill([key], lease, [b"V"], [LONG]) == [True]
        else:
            other.store.release([key], lease)

    wire.at("before send", 1 + sends_before, end)
    began = time.monotonic()
    wire.store.wait([key], 10)
    assert time.monotonic() - began < contract.SOON
    assert not wire.pending
    for each in (wire, other):
        each.pool.disconnect()


def test_a_wait_does_not_outlast_the_patience_of_an_impatient_connection() -> None:
    wire = Wire(timeout=0.05)
    key = settings.KEY_PREFIX.encode() + b":waits:impatient"
    wire.store.lease([key], entry.lease(entry.new_token()), LONG)
    for _ in range(10):
        wire.store.wait([key], 0.05)
    wire.pool.disconnect()


# Round trips


@pytest.mark.parametrize("number", [1, 50, 2_500])
def test_any_number_of_keys_is_one_round_trip(number: int) -> None:
    wire = Wire(timeout=5)
    store = wire.store
    prefix = settings.KEY_PREFIX.encode()
    keys = [prefix + b":trips:%d" % at for at in range(number)]
    lease = entry.lease(entry.new_token())
    tag = entry.tag(entry.new_token())
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(keys[0]),
        "get_many": lambda: store.get_many(keys),
        "lease": lambda: store.lease(keys, lease, LONG, [prefix + b":trips:tag"], tag),
        "lease_over": lambda: store.lease_over(keys, [b"useless"] * number, lease, LONG),
        "fill": lambda: store.fill(keys, lease, [b"V"] * number, [LONG] * number),
        "lease_refresh": lambda: store.lease_refresh(keys[0], b"V", lease, [keys[0] + b"t"], tag),
        "install": lambda: store.install(
            keys, [b"W"] * number, WRITER, [b"V"] * number, [9] * number
        ),
        "wait": lambda: store.wait(keys, 1),
        "release": lambda: store.release(keys, lease),
        "begin_write": lambda: store.begin_write(keys, WRITER, LONG),
        "end_write": lambda: store.end_write(keys, WRITER),
        "drop": lambda: store.drop(keys),
    }
    for call in calls.values():
        call()  # The server learns the scripts.
    assert {name: wire.sent_by(call) for name, call in calls.items()} == dict.fromkeys(calls, 1)
    assert wire.opened == 1
    wire.pool.disconnect()
