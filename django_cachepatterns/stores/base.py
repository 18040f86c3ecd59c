"""The store contract: what the entry protocol asks of a cache server."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from ..exceptions import StoreUnavailable

Done = Callable[["int | StoreUnavailable"], object]


class Store(ABC):
    """Where entries live.

    Keys and entries are bytes (see `entry`), times are milliseconds. Every method raises
    `StoreUnavailable` where the server cannot be reached in time or refuses. A third party's store
    is tested by `django_cachepatterns.testing.contract`.
    """

    supports_leases: ClassVar[bool] = False
    """Whether a fill can be made conditional on the lease: without it, nothing is cached."""
    supports_marks: ClassVar[bool] = False
    """Whether a write in progress can be marked."""
    largest_entry: ClassVar[int] = 512 * 1024 * 1024 - 1024
    """Bytes of the largest entry that the server takes."""

    @property
    @abstractmethod
    def epoch(self) -> bytes:
        """Eight bytes that change when another server answers (restart, failover)."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The entry, `None` where there is none, empty where it is not a string."""

    @abstractmethod
    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The entries of several keys in one round trip."""

    @abstractmethod
    def lease(
        self,
        keys: Sequence[bytes],
        lease: bytes,
        ttl: int,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> tuple[list[bytes | None], list[bytes]]:
        """Take leases on keys that have no entry, then read tags, in one round trip.

        Args:
            keys: the keys.
            lease: the lease entry, the same for all keys.
            ttl: lifetime of the leases.
            tags: keys of tags.
            fresh: the tag entry to create where there is none.

        Returns:
            For each key `None` where the lease was taken, else the entry that stands there;
            and for each tag its entry.
        """

    @abstractmethod
    def lease_over(
        self, keys: Sequence[bytes], seen: Sequence[bytes], lease: bytes, ttl: int
    ) -> list[bytes | None]:
        """Take leases in the place of entries that are of no use, if they still stand.

        Returns, for each key, `None` where the lease was taken, else what stands there.
        """

    @abstractmethod
    def fill(
        self, keys: Sequence[bytes], lease: bytes, entries: Sequence[bytes], ttls: Sequence[int]
    ) -> list[bool]:
        """Store entries, each only where the lease still stands.

        Args:
            lease: a lease entry, or the first 17 bytes of a refresh.
        """

    @abstractmethod
    def lease_refresh(
        self,
        key: bytes,
        seen: bytes,
        refresh: bytes,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> tuple[bool, list[bytes]]:
        """Take the lease to refresh a value that goes on being served, then read tags.

        Args:
            seen: the entry as it was read: a value, or a refresh that has failed.
            refresh: what is put before the value, see `entry.refresh_lease`.
            tags: keys of tags.
            fresh: the tag entry to create where there is none.

        Returns whether it was taken, and for each tag its entry.
        """

    def wait(self, keys: Sequence[bytes], seconds: float) -> None:
        """Return soon after a lease on one of the keys has ended, or after some seconds.

        It may return early. A store that is told of fills overrides it.
        """
        time.sleep(min(seconds, 0.002))

    @abstractmethod
    def install(
        self,
        keys: Sequence[bytes],
        seen: Sequence[bytes],
        writer: bytes,
        entries: Sequence[bytes],
        ttls: Sequence[int],
    ) -> list[bool]:
        """Store what a transaction wrote in the place of its marks, each if it is as it was seen.

        Otherwise only the transaction is taken out of the mark, as by `end_write`.

        Args:
            seen: the marks, read before the rows were read again.
            writer: the transaction's id.
            entries: the value entries.
            ttls: their lifetimes.

        Returns which were stored.
        """

    @abstractmethod
    def release(self, keys: Sequence[bytes], lease: bytes) -> None:
        """Give leases up where they still stand; a refresh with the value behind it."""

    @abstractmethod
    def begin_write(self, keys: Sequence[bytes], writer: bytes, ttl: int) -> None:
        """Mark entries as being written by a transaction, until it ends or `ttl` has passed."""

    @abstractmethod
    def end_write(self, keys: Sequence[bytes], writer: bytes) -> int:
        """Take a transaction out of its marks; the last one out deletes the entry.

        Returns the number of keys in which the mark was lost; those are deleted, too.
        """

    def post_begin_write(self, keys: Sequence[bytes], writer: bytes, ttl: int, done: Done) -> None:
        """`begin_write`, to be waited for by `settle()`.

        Args:
            done: told a number, or the `StoreUnavailable` that came instead.
        """
        try:
            self.begin_write(keys, writer, ttl)
        except StoreUnavailable as error:
            done(error)
        else:
            done(len(keys))

    def settle(self) -> None:  # noqa: B027 - a store that waits at once has nothing to do
        """Wait until the server has carried out what this thread has posted."""

    def post_end_write(self, keys: Sequence[bytes], writer: bytes, done: Done) -> None:
        """The same, without waiting for the answer: while a mark stands, readers are right.

        Args:
            done: told how many marks were lost, or the `StoreUnavailable` that came instead; now
                or before this thread's next command.
        """
        try:
            lost = self.end_write(keys, writer)
        except StoreUnavailable as error:
            done(error)
        else:
            done(lost)

    @abstractmethod
    def drop(self, keys: Sequence[bytes]) -> int:
        """Delete entries and leases, but no marks. Returns how many there were."""
