"""The store contract, as tests: what the entry protocol relies on, whoever made the store.

    import pytest
    from django_cachepatterns.testing.contract import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            return MyStore()

Put `pytest.register_assert_rewrite("django_cachepatterns.testing.contract")` in `conftest.py` for
readable failures. A store that only `supports_leases` subclasses `LeaseContract` instead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from .. import entry
from ..stores.base import Store

LONG = 60_000
"""Milliseconds that outlast any test."""

SHORT = 40
"""Milliseconds until what is to lapse during a test has lapsed."""

LEASE_SIZE = 1 + entry.TOKEN_SIZE
"""Bytes of a lease: so many of a refresh are what its fill must name."""

PATIENCE = 10.0
"""Seconds until what should have lapsed is called a failure."""

SOON = 1.0
"""Seconds within which a waiter must have been woken, on a busy machine; far below `PATIENCE`."""

MANY = 2_500
"""More keys than a store may want to touch at a time."""


class Bench:
    """What the tests work with. Override `store`; the rest where the defaults do not fit."""

    key_prefix = b"contract:"

    @pytest.fixture
    def store(self) -> Store:
        """The store under test."""
        raise NotImplementedError(f"Give {type(self).__name__} a fixture named `store`.")

    @pytest.fixture
    def keys(self) -> list[bytes]:
        """Three keys that nobody else uses."""
        return self.some_keys(3)

    @pytest.fixture
    def key(self, keys: list[bytes]) -> bytes:
        """The first of the keys."""
        return keys[0]

    @pytest.fixture
    def lease(self) -> bytes:
        """A lease entry."""
        return entry.lease(entry.new_token())

    def some_keys(self, number: int) -> list[bytes]:
        """Keys that nobody else uses."""
        stem = self.key_prefix + os.urandom(8).hex().encode()
        return [stem + b":%d" % at for at in range(number)]

    def put(self, store: Store, key: bytes, data: bytes) -> None:
        """Store an entry under a key that has none, whatever the entry is."""
        lease = entry.lease(entry.new_token())
        assert store.lease([key], lease, LONG) == ([None], [])
        assert store.fill([key], lease, [data], [LONG]) == [True]

    def put_foreign(self, store: Store, key: bytes) -> None:
        """Put something under a key that is not a string of bytes, where the server has such."""
        pytest.skip("Override put_foreign() to test what is not a string.")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for the server's clock; a server whose clock is a fake moves that on instead."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"Not even after {PATIENCE:.0f} seconds."
            time.sleep(SHORT / 4000)

    def wait_until_gone(self, store: Store, key: bytes) -> None:
        """Wait until a key has lapsed."""
        self.wait_until(lambda: store.get(key) is None)


class ReadContract(Bench):
    """What every store does."""

    def test_a_missing_entry_is_none(self, store: Store, keys: list[bytes]) -> None:
        assert store.get(keys[0]) is None
        assert store.get_many(keys) == [None, None, None]

    def test_entries_come_back_byte_for_byte(self, store: Store, key: bytes) -> None:
        data = b"V" + bytes(range(256)) * 5 + b"\r\n$-1\r\n"
        self.put(store, key, data)
        assert store.get(key) == data

    def test_entries_come_back_in_the_order_of_their_keys(
        self, store: Store, keys: list[bytes]
    ) -> None:
        self.put(store, keys[0], b"V0")
        self.put(store, keys[2], b"V2")
        assert store.get_many([keys[2], keys[1], keys[0], keys[2]]) == [b"V2", None, b"V0", b"V2"]

    def test_no_keys_are_no_entries(self, store: Store) -> None:
        assert store.get_many([]) == []

    def test_what_is_no_string_reads_as_useless(self, store: Store, keys: list[bytes]) -> None:
        self.put_foreign(store, keys[0])
        self.put(store, keys[1], b"V1")
        assert store.get(keys[0]) == b""
        first, second = store.get_many(keys[:2])
        assert not first
        assert second == b"V1"

    def test_an_epoch_is_eight_bytes(self, store: Store, key: bytes) -> None:
        store.get(key)
        assert type(store.epoch) is bytes
        assert len(store.epoch) == len(entry.NO_EPOCH)

    def test_the_epoch_stays_while_the_same_server_answers(self, store: Store, key: bytes) -> None:
        store.get(key)
        before = store.epoch
        self.put(store, key, b"V")
        assert store.epoch == before


class LeaseContract(ReadContract):
    """What a store does that `supports_leases`."""

    @pytest.fixture
    def other(self) -> bytes:
        """The lease entry of somebody else."""
        return entry.lease(entry.new_token())

    def test_it_says_that_it_has_leases(self, store: Store) -> None:
        assert store.supports_leases

    # Taking a lease

    def test_a_missing_key_is_leased(self, store: Store, key: bytes, lease: bytes) -> None:
        assert store.lease([key], lease, LONG) == ([None], [])
        assert store.get(key) == lease

    def test_only_one_gets_the_lease(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        assert store.lease([key], other, LONG) == ([lease], [])
        assert store.get(key) == lease

    def test_an_entry_is_not_leased_but_returned(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        self.put(store, keys[1], b"V1")
        assert store.lease(keys, lease, LONG) == ([None, b"V1", None], [])
        assert store.get_many(keys) == [lease, b"V1", lease]

    def test_an_own_lease_is_taken_however_often_the_command_arrives(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        store.lease(keys[:2], lease, LONG)
        assert store.lease(keys, lease, LONG) == ([None, None, None], [])

    def test_a_lease_lapses(self, store: Store, key: bytes, lease: bytes, other: bytes) -> None:
        store.lease([key], lease, SHORT)
        self.wait_until_gone(store, key)
        assert store.lease([key], other, LONG) == ([None], [])

    def test_asking_again_does_not_make_a_lease_last(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        store.lease([key], lease, SHORT)
        store.lease([key], lease, LONG)
        store.lease([key], other, LONG)
        self.wait_until_gone(store, key)

    def test_what_is_no_string_is_not_leased(self, store: Store, key: bytes, lease: bytes) -> None:
        self.put_foreign(store, key)
        assert store.lease([key], lease, LONG) == ([b""], [])
        assert store.get(key) == b""

    def test_no_keys_are_no_leases(self, store: Store, lease: bytes) -> None:
        assert store.lease([], lease, LONG) == ([], [])
        assert store.lease_over([], [], lease, LONG) == []
        assert store.fill([], lease, [], []) == []
        store.release([], lease)
        assert store.drop([]) == 0

    def test_many_keys_are_leased_and_filled(self, store: Store, lease: bytes) -> None:
        keys = self.some_keys(MANY)
        entries = [b"V%d" % at for at in range(MANY)]
        assert store.lease(keys, lease, LONG) == ([None] * MANY, [])
        assert store.fill(keys, lease, entries, [LONG] * MANY) == [True] * MANY
        assert store.get_many(keys) == entries

    # A tag beside the lease

    def test_a_missing_tag_is_made(self, store: Store, keys: list[bytes], lease: bytes) -> None:
        new = entry.tag(entry.new_token())
        assert store.lease([keys[0]], lease, LONG, [keys[1]], new) == ([None], [new])
        assert store.get_many(keys[:2]) == [lease, new]

    def test_a_tag_that_stands_is_returned(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        old, new = entry.tag(entry.new_token()), entry.tag(entry.new_token())
        store.lease([keys[0]], lease, LONG, [keys[2]], old)
        assert store.lease([keys[1]], lease, LONG, [keys[2]], new) == ([None], [old])
        assert store.get(keys[2]) == old

    def test_a_tag_is_read_when_the_lease_is_another_s(
        self, store: Store, keys: list[bytes], lease: bytes, other: bytes
    ) -> None:
        tag = entry.tag(entry.new_token())
        store.lease([keys[0]], lease, LONG)
        assert store.lease([keys[0]], other, LONG, [keys[1]], tag) == ([lease], [tag])

    def test_several_tags_are_read_or_made_in_their_order(self, store: Store, lease: bytes) -> None:
        key, *tags = self.some_keys(4)
        old, new = entry.tag(entry.new_token()), entry.tag(entry.new_token())
        store.lease([], lease, LONG, [tags[1]], old)
        assert store.lease([key], lease, LONG, tags, new) == ([None], [new, old, new])
        assert store.get_many(tags) == [new, old, new]

    def test_tags_are_read_without_a_lease(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        new = entry.tag(entry.new_token())
        assert store.lease([], lease, LONG, keys[:2], new) == ([], [new, new])
        assert store.get_many(keys) == [new, new, None]

    def test_many_tags_are_read(self, store: Store, key: bytes, lease: bytes) -> None:
        tags, new = self.some_keys(MANY), entry.tag(entry.new_token())
        assert store.lease([key], lease, LONG, tags, new) == ([None], [new] * MANY)
        assert store.get_many(tags) == [new] * MANY

    def test_a_dropped_tag_gets_another_version(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        old, new = entry.tag(entry.new_token()), entry.tag(entry.new_token())
        store.lease(keys[:1], lease, LONG, keys[1:2], old)
        assert store.drop(keys[1:2]) == 1
        assert store.lease([], lease, LONG, keys[1:2], new) == ([], [new])

    def test_an_empty_entry_is_no_version_of_a_tag(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        """What is told must be what stands there: else nobody could use what it is stored under."""
        self.put(store, keys[1], b"")
        new = entry.tag(entry.new_token())
        _, (found,) = store.lease(keys[:1], lease, LONG, keys[1:2], new)
        assert found == store.get(keys[1])

    def test_what_is_no_string_is_no_version_of_a_tag(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        self.put_foreign(store, keys[1])
        new = entry.tag(entry.new_token())
        _, (found,) = store.lease(keys[:1], lease, LONG, keys[1:2], new)
        assert found == store.get(keys[1])

    # Taking the lease to refresh a value, which is served meanwhile

    @pytest.fixture
    def refresh(self) -> bytes:
        """What goes before a value that is being refreshed; its deadline is far away."""
        return entry.refresh_lease(entry.new_token(), 2**42)

    @pytest.fixture
    def other_refresh(self) -> bytes:
        """The same, of somebody else."""
        return entry.refresh_lease(entry.new_token(), 2**42)

    def test_a_refresh_leaves_the_value_where_it_is(
        self, store: Store, key: bytes, refresh: bytes
    ) -> None:
        value = b"V" + bytes(range(256)) * 5
        self.put(store, key, value)
        assert store.lease_refresh(key, value, refresh) == (True, [])
        assert store.get(key) == refresh + value
        assert entry.being_refreshed(refresh + value) == (2**42, value)

    def test_only_one_gets_the_lease_to_refresh(
        self, store: Store, key: bytes, refresh: bytes, other_refresh: bytes
    ) -> None:
        self.put(store, key, b"V")
        store.lease_refresh(key, b"V", refresh)
        assert store.lease_refresh(key, b"V", other_refresh) == (False, [])
        assert store.get(key) == refresh + b"V"

    def test_a_refresh_that_has_failed_is_taken_over(
        self, store: Store, key: bytes, refresh: bytes, other_refresh: bytes
    ) -> None:
        self.put(store, key, b"V")
        store.lease_refresh(key, b"V", refresh)
        assert store.lease_refresh(key, refresh + b"V", other_refresh) == (True, [])
        assert store.get(key) == other_refresh + b"V"
        seen = refresh[:LEASE_SIZE]
        assert store.fill([key], seen, [b"V of the first"], [LONG]) == [False]
        assert store.get(key) == other_refresh + b"V"

    @pytest.mark.parametrize("stands", [None, b"V another", b"W", b"v", b""])
    def test_only_what_was_seen_is_refreshed(
        self, store: Store, key: bytes, refresh: bytes, stands: bytes | None
    ) -> None:
        if stands is not None:
            self.put(store, key, stands)
        assert store.lease_refresh(key, b"V", refresh) == (False, [])
        assert store.get(key) == stands

    def test_a_lease_is_not_refreshed(
        self, store: Store, key: bytes, lease: bytes, refresh: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        for seen in (b"V", lease[:1] + b"?" * 16):
            assert store.lease_refresh(key, seen, refresh) == (False, [])
        assert store.get(key) == lease

    def test_what_is_no_string_is_not_refreshed(
        self, store: Store, key: bytes, refresh: bytes
    ) -> None:
        self.put_foreign(store, key)
        assert store.lease_refresh(key, b"V", refresh) == (False, [])
        assert store.get(key) == b""

    def test_a_value_that_is_being_refreshed_expires_when_it_would_have(
        self, store: Store, key: bytes, lease: bytes, refresh: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        store.fill([key], lease, [b"V"], [SHORT])
        store.lease_refresh(key, b"V", refresh)
        self.wait_until_gone(store, key)

    def test_tags_are_read_when_a_refresh_is_begun(
        self, store: Store, lease: bytes, refresh: bytes
    ) -> None:
        key, *tags = self.some_keys(3)
        old, new = entry.tag(entry.new_token()), entry.tag(entry.new_token())
        store.lease([], lease, LONG, tags[:1], old)
        self.put(store, key, b"V")
        assert store.lease_refresh(key, b"V", refresh, tags, new) == (True, [old, new])
        assert store.get_many(tags) == [old, new]

    def test_a_refresh_is_filled(self, store: Store, key: bytes, refresh: bytes) -> None:
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [LONG]) == [True]
        assert store.get(key) == b"V2"
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V3"], [LONG]) == [False]

    def test_a_refreshed_value_expires_at_its_own_time(
        self, store: Store, key: bytes, refresh: bytes
    ) -> None:
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [SHORT])
        self.wait_until_gone(store, key)

    def test_a_refresh_is_not_filled_under_another_lease(
        self, store: Store, key: bytes, lease: bytes, refresh: bytes, other_refresh: bytes
    ) -> None:
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        for held in (lease, other_refresh[:LEASE_SIZE]):
            assert store.fill([key], held, [b"V2"], [LONG]) == [False]
        assert store.get(key) == refresh + b"V1"

    def test_a_fill_is_refused_after_a_refresh_was_dropped(
        self, store: Store, key: bytes, refresh: bytes
    ) -> None:
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        assert store.drop([key]) == 1
        assert store.get(key) is None
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_fill_is_refused_after_a_refresh_was_leased_over(
        self, store: Store, key: bytes, lease: bytes, refresh: bytes
    ) -> None:
        """Its tags have changed meanwhile: nobody could be given the value any more."""
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        assert store.lease([key], lease, LONG) == ([refresh + b"V1"], [])
        assert store.lease_over([key], [refresh + b"V1"], lease, LONG) == [None]
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [LONG]) == [False]
        assert store.get(key) == lease

    def test_a_refresh_is_released_with_its_value(
        self, store: Store, keys: list[bytes], refresh: bytes, other_refresh: bytes
    ) -> None:
        """What was loaded cannot be kept, or is not there any more."""
        for key in keys[:2]:
            self.put(store, key, b"V1")
        store.lease_refresh(keys[0], b"V1", refresh)
        store.lease_refresh(keys[1], b"V1", other_refresh)
        store.release(keys, refresh[:LEASE_SIZE])
        assert store.get_many(keys) == [None, other_refresh + b"V1", None]

    # Taking a lease over a useless entry

    def test_a_useless_entry_is_leased_over(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        self.put(store, key, b"useless")
        assert store.lease_over([key], [b"useless"], lease, LONG) == [None]
        assert store.get(key) == lease
        assert store.fill([key], other, [b"V"], [LONG]) == [False]
        assert store.fill([key], lease, [b"V"], [LONG]) == [True]

    def test_a_long_useless_entry_is_leased_over(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        self.put(store, key, b"useless" * 1000)
        assert store.lease_over([key], [b"useless" * 1000], lease, LONG) == [None]

    def test_an_empty_entry_is_leased_over(self, store: Store, key: bytes, lease: bytes) -> None:
        self.put(store, key, b"")
        assert store.get(key) == b""
        assert store.lease_over([key], [b""], lease, LONG) == [None]

    def test_what_is_no_string_is_leased_over(self, store: Store, key: bytes, lease: bytes) -> None:
        self.put_foreign(store, key)
        assert store.lease_over([key], [b""], lease, LONG) == [None]
        assert store.get(key) == lease

    def test_only_what_was_seen_is_leased_over(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        self.put(store, keys[0], b"another")
        self.put(store, keys[1], b"useless")
        seen = [b"useless", b"useless"]
        assert store.lease_over(keys[:2], seen, lease, LONG) == [b"another", None]
        assert store.get_many(keys[:2]) == [b"another", lease]

    def test_a_key_that_is_missing_by_now_is_leased_over(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        assert store.lease_over([key], [b"useless"], lease, LONG) == [None]
        assert store.get(key) == lease

    def test_only_one_leases_over(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        self.put(store, key, b"useless")
        store.lease_over([key], [b"useless"], lease, LONG)
        assert store.lease_over([key], [b"useless"], other, LONG) == [lease]

    def test_an_own_lease_over_is_taken_however_often_the_command_arrives(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        self.put(store, key, b"useless")
        store.lease_over([key], [b"useless"], lease, LONG)
        assert store.lease_over([key], [b"useless"], lease, LONG) == [None]

    @pytest.mark.parametrize("seen", [b"L", b"V", b""])
    def test_a_fragment_is_not_taken_for_the_entry_that_starts_with_it(
        self, store: Store, key: bytes, lease: bytes, other: bytes, seen: bytes
    ) -> None:
        store.lease([key], other, LONG)
        assert store.lease_over([key], [seen], lease, LONG) == [other]

    def test_a_lease_over_lapses(self, store: Store, key: bytes, lease: bytes) -> None:
        self.put(store, key, b"useless")
        store.lease_over([key], [b"useless"], lease, SHORT)
        self.wait_until_gone(store, key)

    def test_many_keys_are_leased_over(self, store: Store, lease: bytes) -> None:
        keys = self.some_keys(MANY)
        assert store.lease_over(keys, [b"useless"] * MANY, lease, LONG) == [None] * MANY
        assert store.get_many(keys) == [lease] * MANY

    # Fill

    def test_a_fill_replaces_the_lease(self, store: Store, key: bytes, lease: bytes) -> None:
        store.lease([key], lease, LONG)
        assert store.fill([key], lease, [b"V"], [LONG]) == [True]
        assert store.get(key) == b"V"

    def test_a_fill_is_refused_the_second_time(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        self.put(store, key, b"V1")
        assert store.fill([key], lease, [b"V2"], [LONG]) == [False]
        assert store.get(key) == b"V1"

    def test_a_fill_without_a_lease_is_refused(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_fill_under_another_lease_is_refused(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        store.drop([key])
        store.lease([key], other, LONG)
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) == other

    def test_a_fill_is_refused_after_a_drop(self, store: Store, key: bytes, lease: bytes) -> None:
        store.lease([key], lease, LONG)
        store.drop([key])
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_fill_is_refused_after_the_lease_has_lapsed(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        store.lease([key], lease, SHORT)
        self.wait_until_gone(store, key)
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_fill_is_refused_where_something_else_has_come(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        self.put_foreign(store, key)
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) == b""

    def test_each_fill_is_accepted_or_refused_by_itself(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        store.lease(keys, lease, LONG)
        store.drop([keys[1]])
        entries = [b"V0", b"V1", b"V2"]
        assert store.fill(keys, lease, entries, [LONG] * 3) == [True, False, True]
        assert store.get_many(keys) == [b"V0", None, b"V2"]

    def test_entries_expire_each_at_its_own_time(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        store.lease(keys[:2], lease, LONG)
        store.fill(keys[:2], lease, [b"V0", b"V1"], [SHORT, LONG])
        self.wait_until_gone(store, keys[0])
        assert store.get(keys[1]) == b"V1"

    # Giving a lease up

    def test_a_lease_is_released(
        self, store: Store, key: bytes, lease: bytes, other: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        store.release([key], lease)
        assert store.get(key) is None
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]

    def test_only_an_own_lease_is_released(
        self, store: Store, keys: list[bytes], lease: bytes, other: bytes
    ) -> None:
        store.lease([keys[0]], other, LONG)
        self.put(store, keys[1], b"V")
        store.release(keys, lease)
        assert store.get_many(keys) == [other, b"V", None]

    def test_what_is_no_string_is_not_released(
        self, store: Store, key: bytes, lease: bytes
    ) -> None:
        self.put_foreign(store, key)
        store.release([key], lease)
        assert store.get(key) == b""

    # Drop

    def test_entries_and_leases_are_dropped(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        self.put(store, keys[0], b"V")
        store.lease([keys[1]], lease, LONG)
        assert store.drop(keys) == 2
        assert store.get_many(keys) == [None, None, None]

    def test_what_is_no_string_is_dropped(self, store: Store, key: bytes) -> None:
        self.put_foreign(store, key)
        assert store.drop([key]) == 1
        assert store.get(key) is None

    def test_many_entries_are_dropped(self, store: Store, lease: bytes) -> None:
        keys = self.some_keys(MANY)
        store.lease(keys, lease, LONG)
        assert store.drop(keys) == MANY
        assert store.drop(keys) == 0


class MarkContract(LeaseContract):
    """What a store does that `supports_marks`; without leases there is nothing to mark."""

    @pytest.fixture
    def writer(self) -> bytes:
        """The id of a transaction."""
        return entry.new_token()

    @pytest.fixture
    def second(self) -> bytes:
        """The id of another transaction."""
        return entry.new_token()

    def writers(self, store: Store, key: bytes) -> set[bytes]:
        """The transactions in a mark; none where there is no mark."""
        data = store.get(key)
        if data is None or data[:1] != entry.MARK:
            return set()
        assert len(data) % entry.WRITER_SIZE == 1, data
        return {writer for writer, _ in entry.writers_of(data)}

    def test_it_says_that_it_has_marks(self, store: Store) -> None:
        assert store.supports_marks

    # Begin

    def test_a_missing_key_is_marked(self, store: Store, key: bytes, writer: bytes) -> None:
        store.begin_write([key], writer, LONG)
        assert self.writers(store, key) == {writer}

    def test_a_mark_replaces_whatever_stands_there(
        self, store: Store, keys: list[bytes], writer: bytes, lease: bytes
    ) -> None:
        self.put(store, keys[0], b"V")
        store.lease([keys[1]], lease, LONG)
        store.begin_write(keys, writer, LONG)
        assert [self.writers(store, key) for key in keys] == [{writer}] * 3

    def test_a_mark_replaces_what_is_no_string(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        self.put_foreign(store, key)
        store.begin_write([key], writer, LONG)
        assert self.writers(store, key) == {writer}

    def test_a_mark_replaces_what_only_starts_like_one(
        self, store: Store, keys: list[bytes], writer: bytes
    ) -> None:
        for key, data in zip(keys, [b"W", b"W\0\xff", b"W" + b"?" * 29], strict=True):
            self.put(store, key, data)
        store.begin_write(keys, writer, LONG)
        assert [self.writers(store, key) for key in keys] == [{writer}] * 3
        assert store.end_write(keys, writer) == 0
        assert store.get_many(keys) == [None] * 3

    def test_a_fill_is_refused_after_begin_write(
        self, store: Store, key: bytes, lease: bytes, writer: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        store.begin_write([key], writer, LONG)
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert self.writers(store, key) == {writer}

    def test_a_fill_is_refused_after_a_whole_write(
        self, store: Store, key: bytes, lease: bytes, writer: bytes
    ) -> None:
        store.lease([key], lease, LONG)
        store.begin_write([key], writer, LONG)
        store.end_write([key], writer)
        assert store.fill([key], lease, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_marked_key_is_not_leased(
        self, store: Store, key: bytes, lease: bytes, writer: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        mark = store.get(key)
        assert store.lease([key], lease, LONG) == ([mark], [])
        assert store.lease_over([key], [b"useless"], lease, LONG) == [mark]
        assert self.writers(store, key) == {writer}

    @pytest.mark.parametrize("seen", [b"", b"W"])
    def test_a_mark_is_not_taken_for_the_useless_entry_that_it_replaced(
        self, store: Store, key: bytes, lease: bytes, writer: bytes, seen: bytes
    ) -> None:
        """A reader saw a damaged entry; a writer has begun since."""
        self.put(store, key, seen)
        store.begin_write([key], writer, LONG)
        (stands,) = store.lease_over([key], [seen], lease, LONG)
        assert stands == store.get(key)
        assert self.writers(store, key) == {writer}

    def test_a_marked_tag_is_returned_as_it_stands(
        self, store: Store, keys: list[bytes], lease: bytes, writer: bytes
    ) -> None:
        store.begin_write([keys[1]], writer, LONG)
        tag = entry.tag(entry.new_token())
        _, found = store.lease([keys[0]], lease, LONG, [keys[1]], tag)
        assert found == [store.get(keys[1])]
        assert self.writers(store, keys[1]) == {writer}

    def test_a_marked_tag_is_returned_as_it_stands_when_a_refresh_is_begun(
        self, store: Store, keys: list[bytes], refresh: bytes, writer: bytes
    ) -> None:
        self.put(store, keys[0], b"V")
        store.begin_write([keys[1]], writer, LONG)
        tag = entry.tag(entry.new_token())
        _, found = store.lease_refresh(keys[0], b"V", refresh, [keys[1]], tag)
        assert found == [store.get(keys[1])]
        assert self.writers(store, keys[1]) == {writer}

    def test_a_mark_replaces_a_refresh(
        self, store: Store, key: bytes, refresh: bytes, writer: bytes
    ) -> None:
        self.put(store, key, b"V1")
        store.lease_refresh(key, b"V1", refresh)
        store.begin_write([key], writer, LONG)
        assert self.writers(store, key) == {writer}
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [LONG]) == [False]
        assert self.writers(store, key) == {writer}
        assert store.end_write([key], writer) == 0
        assert store.get(key) is None
        assert store.fill([key], refresh[:LEASE_SIZE], [b"V2"], [LONG]) == [False]
        assert store.get(key) is None

    def test_a_marked_key_is_not_refreshed(
        self, store: Store, key: bytes, refresh: bytes, writer: bytes
    ) -> None:
        value = b"V" * (1 + entry.WRITER_SIZE)
        self.put(store, key, value)
        store.begin_write([key], writer, LONG)
        assert store.lease_refresh(key, value, refresh) == (False, [])
        assert self.writers(store, key) == {writer}

    def test_a_mark_is_not_released(
        self, store: Store, key: bytes, lease: bytes, writer: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        store.release([key], lease)
        assert self.writers(store, key) == {writer}

    def test_a_mark_is_not_dropped(
        self, store: Store, keys: list[bytes], lease: bytes, writer: bytes, second: bytes
    ) -> None:
        store.begin_write(keys[:2], writer, LONG)
        store.begin_write([keys[1]], second, LONG)
        store.lease([keys[2]], lease, LONG)
        assert store.drop(keys) == 1
        assert self.writers(store, keys[0]) == {writer}
        assert self.writers(store, keys[1]) == {writer, second}

    def test_beginning_again_is_beginning_once(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        store.begin_write([key], writer, LONG)
        assert len(store.get(key) or b"") == 1 + entry.WRITER_SIZE
        assert store.end_write([key], writer) == 0
        assert store.get(key) is None

    # End

    def test_the_end_deletes_the_mark(self, store: Store, keys: list[bytes], writer: bytes) -> None:
        store.begin_write(keys, writer, LONG)
        assert store.end_write(keys, writer) == 0
        assert store.get_many(keys) == [None, None, None]

    def test_a_key_is_cached_again_after_the_end(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        store.end_write([key], writer)
        self.put(store, key, b"V")

    def test_no_keys_are_no_marks(self, store: Store, writer: bytes) -> None:
        store.begin_write([], writer, LONG)
        assert store.end_write([], writer) == 0

    def test_many_keys_are_marked_and_ended(
        self, store: Store, writer: bytes, second: bytes
    ) -> None:
        keys = self.some_keys(MANY)
        store.begin_write(keys, writer, LONG)
        assert {(data or b"")[:1] for data in store.get_many(keys)} == {entry.MARK}
        assert store.drop(keys) == 0
        assert store.end_write(keys, writer) == 0
        assert store.get_many(keys) == [None] * MANY
        assert store.end_write(keys, writer) == MANY

    # An end that nobody waits for

    def test_a_posted_end_is_carried_out_before_this_thread_s_next_command(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        told: list[object] = []
        store.begin_write(keys[:2], writer, LONG)
        store.begin_write(keys[1:2], second, LONG)
        store.post_end_write(keys[:2], writer, told.append)
        assert store.get(keys[0]) is None
        assert told == [0]
        assert self.writers(store, keys[1]) == {second}

    def test_a_posted_end_counts_the_marks_that_were_lost(
        self, store: Store, keys: list[bytes], writer: bytes
    ) -> None:
        told: list[object] = []
        store.begin_write(keys[:1], writer, LONG)
        self.put(store, keys[1], b"V old")
        store.post_end_write(keys, writer, told.append)
        assert store.get_many(keys) == [None, None, None]
        assert told == [2]

    def test_many_ends_are_posted_each_is_told_of(self, store: Store) -> None:
        told: list[object] = []
        keys = self.some_keys(300)
        writers = [entry.new_token() for _ in keys]
        for key, writer in zip(keys, writers, strict=True):
            store.begin_write([key], writer, LONG)
        for key, writer in zip(keys, writers, strict=True):
            store.post_end_write([key], writer, told.append)
        assert store.get_many(keys) == [None] * 300
        assert told == [0] * 300

    def test_the_end_of_many_keys_is_posted(self, store: Store, writer: bytes) -> None:
        told: list[int] = []
        keys = self.some_keys(MANY)
        store.begin_write(keys[100:], writer, LONG)
        store.post_end_write(keys, writer, told.append)  # type: ignore[arg-type]
        assert store.get_many(keys) == [None] * MANY
        assert sum(told) == 100

    def test_a_write_begins_after_the_posted_end_of_another(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        """A savepoint was rolled back, and its transaction writes the row again."""
        store.begin_write([key], writer, LONG)
        store.post_end_write([key], writer, lambda told: None)
        store.begin_write([key], writer, LONG)
        assert self.writers(store, key) == {writer}

    # Several writers

    def test_several_writers_stand_in_one_mark(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        store.begin_write([key], second, LONG)
        assert self.writers(store, key) == {writer, second}

    @pytest.mark.parametrize("last_in_first_out", [True, False])
    def test_the_last_writer_out_deletes_the_mark(
        self, store: Store, key: bytes, last_in_first_out: bool
    ) -> None:
        writers = [entry.new_token() for _ in range(4)]
        for writer in writers:
            store.begin_write([key], writer, LONG)
        left = set(writers)
        for writer in reversed(writers) if last_in_first_out else writers:
            assert self.writers(store, key) == left
            assert store.end_write([key], writer) == 0
            left.remove(writer)
        assert store.get(key) is None

    def test_the_marks_of_a_writer_end_each_by_itself(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        store.begin_write(keys[:2], writer, LONG)
        store.begin_write(keys[1:], second, LONG)
        assert store.end_write(keys[:2], writer) == 0
        assert [self.writers(store, key) for key in keys] == [set(), {second}, {second}]

    def test_a_writer_that_begins_again_keeps_the_others(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        store.begin_write([key], writer, LONG)
        store.begin_write([key], second, LONG)
        store.begin_write([key], writer, LONG)
        assert self.writers(store, key) == {writer, second}

    # Deadlines

    def test_a_mark_lapses(self, store: Store, key: bytes, writer: bytes) -> None:
        store.begin_write([key], writer, SHORT)
        self.wait_until_gone(store, key)
        self.put(store, key, b"V")

    def test_a_mark_lasts_as_long_as_its_longest_writer(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        store.begin_write(keys[:2], writer, SHORT)
        store.begin_write(keys[:1], second, LONG)
        store.begin_write(keys[:1], writer, SHORT)
        self.wait_until_gone(store, keys[1])
        assert second in self.writers(store, keys[0])

    def test_a_mark_does_not_outlast_those_that_are_left_in_it(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        store.begin_write([key], writer, SHORT)
        store.begin_write([key], second, LONG)
        store.end_write([key], second)
        self.wait_until_gone(store, key)

    @pytest.mark.parametrize("crashes_first", [True, False])
    def test_a_crashed_writer_lapses_on_a_key_that_is_never_idle(
        self, store: Store, keys: list[bytes], crashes_first: bool
    ) -> None:
        key, clock = keys[:2]
        crashed, other = entry.new_token(), entry.new_token()
        order = [(crashed, SHORT), (other, LONG)]
        for writer, ttl in order if crashes_first else reversed(order):
            store.begin_write([key], writer, ttl)
        self.wait_for(store, clock, SHORT)
        third = entry.new_token()
        store.begin_write([key], third, LONG)
        assert self.writers(store, key) == {other, third}
        store.end_write([key], third)
        store.end_write([key], other)
        assert store.get(key) is None

    def test_the_end_leaves_no_lapsed_writer_behind(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        store.begin_write(keys[:1], writer, SHORT)
        store.begin_write(keys[:1], second, LONG)
        self.wait_for(store, keys[1], SHORT)
        assert store.end_write(keys[:1], second) == 0
        assert store.get(keys[0]) is None

    def wait_for(self, store: Store, key: bytes, milliseconds: int) -> None:
        """Wait until what was given so long by the server's clock before now has lapsed."""
        store.begin_write([key], entry.new_token(), milliseconds + 1)
        self.wait_until_gone(store, key)

    # Marks that were lost

    def test_a_lost_mark_is_counted(self, store: Store, keys: list[bytes], writer: bytes) -> None:
        store.begin_write(keys[:2], writer, SHORT)
        store.begin_write(keys[2:], writer, LONG)
        self.wait_until_gone(store, keys[1])
        self.wait_until_gone(store, keys[0])
        assert store.end_write(keys, writer) == 2
        assert store.get_many(keys) == [None, None, None]

    def test_what_was_filled_under_a_lost_mark_is_deleted(
        self, store: Store, keys: list[bytes], writer: bytes, lease: bytes
    ) -> None:
        store.begin_write(keys[:2], writer, SHORT)
        self.wait_until_gone(store, keys[0])
        self.wait_until_gone(store, keys[1])
        self.put(store, keys[0], b"V old")
        store.lease([keys[1]], lease, LONG)
        assert store.end_write(keys[:2], writer) == 2
        assert store.get_many(keys[:2]) == [None, None]
        assert store.fill([keys[1]], lease, [b"V old"], [LONG]) == [False]

    def test_what_is_no_string_is_deleted_by_the_end(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        self.put_foreign(store, key)
        assert store.end_write([key], writer) == 1
        assert store.get(key) is None

    def test_an_end_tells_many_entries_apart(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        mine, foreign, shared, filled, lost = some = [*keys, *self.some_keys(2)]
        store.begin_write([mine, shared], writer, LONG)
        store.begin_write([shared, foreign], second, LONG)
        self.put(store, filled, b"V old")
        assert store.end_write(some, writer) == 3
        assert [self.writers(store, key) for key in (foreign, shared)] == [{second}] * 2
        assert store.get_many([mine, filled, lost]) == [None] * 3

    def test_the_end_of_a_lost_mark_leaves_another_writer_s(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        store.begin_write([key], writer, SHORT)
        self.wait_until_gone(store, key)
        store.begin_write([key], second, LONG)
        assert store.end_write([key], writer) == 1
        assert self.writers(store, key) == {second}

    def test_ending_twice_hurts_nobody(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        """The command was sent again because its reply was lost."""
        store.begin_write([key], writer, LONG)
        store.begin_write([key], second, LONG)
        store.end_write([key], writer)
        store.end_write([key], writer)
        assert self.writers(store, key) == {second}

    # Storing what was written in the place of its mark

    def marked(self, store: Store, keys: Sequence[bytes], writer: bytes) -> list[bytes]:
        """Mark keys; returns the marks."""
        store.begin_write(keys, writer, LONG)
        return [mark or b"" for mark in store.get_many(keys)]

    def test_what_was_written_is_stored_in_the_place_of_its_mark(
        self, store: Store, keys: list[bytes], writer: bytes
    ) -> None:
        seen = self.marked(store, keys, writer)
        entries = [b"V0", b"V1", b"V2"]
        assert store.install(keys, seen, writer, entries, [LONG] * 3) == [True] * 3
        assert store.get_many(keys) == entries

    def test_what_is_installed_expires_at_its_own_time(
        self, store: Store, keys: list[bytes], writer: bytes
    ) -> None:
        seen = self.marked(store, keys[:2], writer)
        store.install(keys[:2], seen, writer, [b"V0", b"V1"], [SHORT, LONG])
        self.wait_until_gone(store, keys[0])
        assert store.get(keys[1]) == b"V1"

    def test_nothing_is_installed_where_another_has_begun_since(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        seen = self.marked(store, [key], writer)
        store.begin_write([key], second, LONG)
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        assert self.writers(store, key) == {second}
        assert store.end_write([key], second) == 0
        assert store.get(key) is None

    def test_nothing_is_installed_where_another_has_come_and_gone(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        """It may have committed since the row was read again."""
        seen = self.marked(store, [key], writer)
        store.begin_write([key], second, LONG)
        store.end_write([key], second)
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_nothing_is_installed_that_was_read_before_a_drop(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        seen = self.marked(store, [key], writer)
        store.drop([key])
        assert self.writers(store, key) == {writer}
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_nothing_is_installed_where_another_was_refused_its_install(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        seen = self.marked(store, [key], writer)
        seen_by_second = self.marked(store, [key], second)
        third = entry.new_token()
        store.begin_write([key], third, LONG)
        assert store.install([key], seen_by_second, second, [b"V2"], [LONG]) == [False]
        assert self.writers(store, key) == {writer, third}
        store.end_write([key], third)
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_the_last_of_several_writers_installs(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        self.marked(store, [key], writer)
        store.begin_write([key], second, LONG)
        store.end_write([key], writer)
        seen = [store.get(key) or b""]
        assert store.install([key], seen, second, [b"V"], [LONG]) == [True]
        assert store.get(key) == b"V"

    def test_nothing_is_installed_where_the_mark_is_gone(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        store.begin_write([key], writer, SHORT)
        seen = [store.get(key) or b""]
        self.wait_until_gone(store, key)
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        assert store.get(key) is None

    def test_what_stands_in_the_place_of_a_lost_mark_is_deleted(
        self, store: Store, keys: list[bytes], writer: bytes, lease: bytes
    ) -> None:
        """It was read while the transaction was open."""
        store.begin_write(keys, writer, SHORT)
        seen = [mark or b"" for mark in store.get_many(keys)]
        for key in keys:
            self.wait_until_gone(store, key)
        self.put(store, keys[0], b"V old")
        store.lease(keys[1:2], lease, LONG)
        self.put_foreign(store, keys[2])
        assert store.install(keys, seen, writer, [b"V"] * 3, [LONG] * 3) == [False] * 3
        assert store.get_many(keys) == [None] * 3
        assert store.fill(keys[1:2], lease, [b"V old"], [LONG]) == [False]

    def test_each_install_is_accepted_or_refused_by_itself(
        self, store: Store, keys: list[bytes], writer: bytes, second: bytes
    ) -> None:
        seen = self.marked(store, keys, writer)
        store.begin_write([keys[1]], second, LONG)
        assert store.install(keys, seen, writer, [b"V"] * 3, [LONG] * 3) == [True, False, True]
        assert store.get_many([keys[0], keys[2]]) == [b"V", b"V"]
        assert self.writers(store, keys[1]) == {second}

    def test_installing_twice_leaves_nothing_old(
        self, store: Store, key: bytes, writer: bytes
    ) -> None:
        """The command was sent again because its reply was lost."""
        seen = self.marked(store, [key], writer)
        store.install([key], seen, writer, [b"V"], [LONG])
        store.install([key], seen, writer, [b"V"], [LONG])
        assert store.get(key) in (b"V", None)

    def test_the_mark_that_a_refused_install_leaves_lapses_with_those_in_it(
        self, store: Store, key: bytes, writer: bytes, second: bytes
    ) -> None:
        seen = self.marked(store, [key], writer)
        store.begin_write([key], second, SHORT)
        assert store.install([key], seen, writer, [b"V"], [LONG]) == [False]
        self.wait_until_gone(store, key)

    def test_no_keys_are_installed(self, store: Store, writer: bytes) -> None:
        assert store.install([], [], writer, [], []) == []

    def test_many_keys_are_installed(self, store: Store, writer: bytes) -> None:
        keys = self.some_keys(MANY)
        seen = self.marked(store, keys, writer)
        assert store.install(keys, seen, writer, [b"V"] * MANY, [LONG] * MANY) == [True] * MANY
        assert store.get_many(keys) == [b"V"] * MANY


class WaitContract(Bench):
    """How a store that `supports_leases` lets readers wait for another's load.

    A waiter may be sent away early, and looks again; so what is tested is that it is never held
    longer than it has to be.
    """

    def waiters(
        self, store: Store, keys: Sequence[bytes], lease: bytes, number: int
    ) -> Callable[[], float]:
        """Threads that wait until none of some keys has the lease any more.

        Returns a function that waits for the threads, and gives the seconds that the last of them
        took from its call on.
        """
        ends: list[float] = []
        ready = threading.Barrier(number + 1)

        def wait() -> None:
            store.get(keys[0])  # A thread's first command may have to connect.
            ready.wait(PATIENCE)
            deadline = time.monotonic() + PATIENCE
            while all(data == lease for data in store.get_many(keys)):
                store.wait(keys, PATIENCE)
                if time.monotonic() > deadline:
                    return
            ends.append(time.monotonic())

        threads = [threading.Thread(target=wait) for _ in range(number)]
        for thread in threads:
            thread.start()
        ready.wait(PATIENCE)

        def last() -> float:
            begun = time.monotonic()
            for thread in threads:
                thread.join(2 * PATIENCE)
            assert len(ends) == number, f"{number - len(ends)} of {number} were not woken."
            return max(ends) - begun

        return last

    def test_nobody_waits_where_nothing_is_leased(self, store: Store, keys: list[bytes]) -> None:
        self.put(store, keys[1], b"V")
        began = time.monotonic()
        store.wait(keys[:1], PATIENCE)
        store.wait(keys[1:2], PATIENCE)
        assert time.monotonic() - began < SOON

    def test_nobody_waits_for_a_refresh(self, store: Store, key: bytes) -> None:
        self.put(store, key, b"V")
        store.lease_refresh(key, b"V", entry.refresh_lease(entry.new_token(), 2**42))
        began = time.monotonic()
        store.wait([key], PATIENCE)
        assert time.monotonic() - began < SOON

    def test_a_wait_has_an_end(self, store: Store, key: bytes, lease: bytes) -> None:
        store.lease([key], lease, LONG)
        began = time.monotonic()
        store.wait([key], 0.02)
        assert time.monotonic() - began < SOON
        assert store.get(key) == lease

    @pytest.mark.parametrize("number", [1, 8])
    def test_everybody_is_woken_by_the_fill(
        self, store: Store, key: bytes, lease: bytes, number: int
    ) -> None:
        store.lease([key], lease, LONG)
        last = self.waiters(store, [key], lease, number)
        time.sleep(
            0.05
        )  # Most are waiting by now; that those who are not are right is tested, too.
        store.fill([key], lease, [b"V"], [LONG])
        assert last() < SOON

    @pytest.mark.parametrize("number", [1, 8])
    def test_everybody_is_woken_by_the_release(
        self, store: Store, key: bytes, lease: bytes, number: int
    ) -> None:
        store.lease([key], lease, LONG)
        last = self.waiters(store, [key], lease, number)
        time.sleep(0.05)
        store.release([key], lease)
        assert last() < SOON

    def test_who_waits_for_several_keys_is_woken_by_any(
        self, store: Store, keys: list[bytes], lease: bytes
    ) -> None:
        for key in keys:
            store.lease(keys, lease, LONG)
            last = self.waiters(store, keys, lease, 2)
            time.sleep(0.02)
            store.fill([key], lease, [b"V"], [LONG])
            assert last() < SOON
            store.drop(keys)

    def test_no_wake_up_is_lost_whenever_the_fill_comes(self, store: Store, lease: bytes) -> None:
        for number, key in enumerate(self.some_keys(40)):
            store.lease([key], lease, LONG)
            last = self.waiters(store, [key], lease, 2)
            time.sleep(number * 5e-5)
            store.fill([key], lease, [b"V"], [LONG])
            assert last() < SOON

    def test_who_waited_can_wait_again(self, store: Store, key: bytes, lease: bytes) -> None:
        """What one round has left behind does not wake the next for ever."""
        for _ in range(5):
            store.lease([key], lease, LONG)
            last = self.waiters(store, [key], lease, 3)
            store.release([key], lease)
            assert last() < SOON


class StoreContract(MarkContract, WaitContract):
    """The whole contract: what the library's own store does."""
