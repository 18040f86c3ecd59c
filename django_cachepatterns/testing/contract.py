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
import time
from collections.abc import Callable

import pytest

from .. import entry
from ..stores.base import Store

LONG = 60_000
"""Milliseconds that outlast any test."""

SHORT = 40
"""Milliseconds until what is to lapse during a test has lapsed."""

PATIENCE = 10.0
"""Seconds until what should have lapsed is called a failure."""

MANY = 2_500
"""More keys than a store may want to touch at a time."""


class ReadContract:
    """What every store does. Override `store`; the rest where the defaults do not fit."""

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
    def lease(self) -> bytes:
        """A lease entry."""
        return entry.lease(entry.new_token())

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


class StoreContract(MarkContract):
    """The whole contract: what the library's own store does."""
