"""Write-through: values by key, written to their place and to the cache in one step.

A write marks the entry, calls `write`, and ends: between the two nobody is served the old value.
Then the value is loaded again and stored in the place of the mark, if nobody else has written
meanwhile; see `transactions.installable`. (Rows of models are written through by the policy's
`pattern="write_through"`.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async

from . import conf
from .exceptions import PolicyError
from .log_events import event
from .read_through import ReadThrough, is_coroutine_function
from .reader import Reader
from .sources import Loaded
from .transactions import Installable, writing
from .values import Asked

logger = logging.getLogger("django_cachepatterns")


class WriteThrough(ReadThrough):
    """Values of one name, by key, that are written through the cache.

    Args:
        name: as of `ReadThrough`, and so are all that are not here.
        load: gives the value of a key.
        write: stores the value of a key where it belongs: `write(key, value)`.
        delete: removes a key there.
        using: the database that `write` writes to: what is written in a transaction of it shows
            when that commits.
    """

    pattern = "write_through"

    def __init__(
        self,
        name: str,
        load: Callable[[Any], Any] | None = None,
        load_many: Callable[[list[Any]], Any] | None = None,
        *,
        write: Callable[[Any, Any], Any],
        delete: Callable[[Any], Any] | None = None,
        using: str = "default",
        **options: Any,
    ) -> None:
        for each in filter(None, (write, delete)):
            if not callable(each) or is_coroutine_function(each):
                raise PolicyError(
                    f"WriteThrough {name!r}: {each!r} is no plain function. Give one; `aset` and "
                    "`adelete` run it where Django runs its database code."
                )
        super().__init__(name, load, load_many, **options)
        self._write, self._delete, self._using = write, delete, using

    def set(self, key: Any, value: Any) -> None:
        """Write the value of a key. In a transaction, others see it from the commit on.

        What `write` raises reaches the caller, and the old value is loaded anew.
        """
        asked, failed = self._asked(key), [True]

        def again() -> _Again | None:
            return None if failed else self._again()

        with self._writing(Installable(asked.key, asked, again)):
            self._write(key, value)
            failed.clear()

    def delete(self, key: Any) -> None:
        """Delete a key. Raises `TypeError` where no `delete=` was given."""
        if self._delete is None:
            raise TypeError(f"{self!r} does not know how to delete. Give it delete=.")
        with self._writing(self._asked(key).key):
            self._delete(key)

    async def aset(self, key: Any, value: Any) -> None:
        """`set` in a coroutine."""
        await sync_to_async(self.set)(key, value)

    async def adelete(self, key: Any) -> None:
        """`delete` in a coroutine."""
        await sync_to_async(self.delete)(key)

    @contextmanager
    def _writing(self, entry: bytes) -> Iterator[None]:
        """Mark an entry for the length of a block, or of the transaction that it is in."""
        with writing(self._using, lambda: [entry], stands=True) as log:
            log.flush()  # `write` may write elsewhere than where Django's statements are watched.
            yield

    def _again(self) -> _Again | None:
        reader = self._live.reader()
        if reader is None:
            return None
        again: _Again = conf.config().remember((self, reader), lambda: _Again(reader))
        return again


class _Again:
    """Loads again what was written, and never fails: the write itself is done."""

    def __init__(self, reader: Reader[Asked[Any], Any]) -> None:
        self.source = self
        self.name, self.tags = reader.source.name, reader.source.tags
        self.packed, self._load = reader.packed, reader.source.load

    def load(self, asked: Sequence[Asked[Any]]) -> Loaded:
        try:
            return self._load(asked)
        except Exception:
            # The loader is the user's, and may raise whatever it likes: the next reader hears it.
            extra = event("reload_failed", family=self.name)
            logger.exception("%s was written, but cannot be loaded again.", self.name, extra=extra)
            return Loaded({}, False)
