"""Counters: an integer column that is counted in at the speed of the buffer server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, overload

from asgiref.sync import sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.db import router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .. import fields, metrics
from ..stores.buffers import FULL, LARGEST
from . import live, problems, sql
from .buffer import Buffer
from .members import member_of, pks_of
from .sending import new_operation
from .tenants import of_now

LARGEST_AMOUNT = 2**62


class Counter:
    """Declares on a model that a column is counted in behind the database's back.

        class Product(CachedModel):
            views = models.PositiveBigIntegerField(default=0)
            view_counter = Counter("views")

        Product.view_counter.increment(42)
        product.view_counter.increment(by=2)

    On the class it is a `CounterBuffer`, on an instance a `RowCounter`.

    Args:
        field: the name of an integer column.
        flush_every, batch_rows, max_pending, when_full, strict: see `Buffer`.
        on_commit: whether an increment in a transaction counts only if that commits.
    """

    def __init__(self, field: str, **options: Any) -> None:
        self.field = field
        self.options = options
        self._buffers: dict[type[Model], CounterBuffer] = {}

    @overload
    def __get__(self, instance: None, owner: type[Model]) -> CounterBuffer: ...

    @overload
    def __get__(self, instance: Model, owner: type[Model]) -> RowCounter: ...

    def __get__(self, instance: Model | None, owner: type[Model]) -> CounterBuffer | RowCounter:
        buffer = self._buffers.get(owner) or self.buffer_of(owner)
        return buffer if instance is None else RowCounter(buffer, instance)

    def buffer_of(self, owner: type[Model]) -> CounterBuffer:
        """The buffer of a class: that of the model whose table has the column."""
        home = owner._meta.concrete_model or owner
        with suppress(FieldDoesNotExist):  # A system check says so.
            home = fields.column(home, self.field).model
        buffer = self._buffers.get(home)
        if buffer is None:
            buffer = self._buffers[home] = CounterBuffer(home, self.field, **self.options)
        self._buffers[owner] = buffer
        return buffer


class CounterBuffer(Buffer[int]):
    """Increments of one column that wait. Made by `Counter`."""

    kind = "Counter"

    def __init__(
        self, model: type[Model], field: str, *, on_commit: bool = False, **options: Any
    ) -> None:
        super().__init__(f"{model._meta.label}.{field}", **options)
        self._model = model
        self.field = field
        self.on_commit = on_commit

    @property
    def model(self) -> type[Model]:
        return self._model

    def columns(self) -> Sequence[str]:
        return [fields.attname(self._model, self.field)]

    def problems(self) -> list[problems.Problem]:
        return [*super().problems(), *problems.of_number(self._model, self.field)]

    def increment(
        self,
        pk: Any,
        by: int = 1,
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Count for one row.

        Args:
            pk: its primary key, or an instance.
            by: how many; may be negative.
            strict: send an operation id, so that a try again after a lost reply counts once.
            operation: an id of the caller's own, for tries of the caller's own.
            on_commit: count only if the open transaction commits.

        Raises `TypeError` and `ValueError` for wrong values, `BufferFull` and `OutcomeUnknown`.
        """
        if on_commit or (on_commit is None and self.on_commit):
            self.increment_many({pk: by}, strict=strict, operation=operation, on_commit=True)
            return
        member = member_of(self._model, pk)
        amount = b"%d" % self._amount(by)
        self._send(
            "count",
            (amount, member, amount),
            lambda: self._changes([(member, by)]),
            strict=strict,
            operation=operation,
        )
        metrics.count(self.name, "increment")

    def increment_many(
        self,
        amounts: Mapping[Any, int],
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Count for several rows, in one round trip for each thousand.

        Args:
            amounts: how many, by primary key.
            strict, operation, on_commit: as for `increment`.
        """
        if not isinstance(amounts, Mapping):
            raise TypeError(
                f"{self.name}: the amounts are a {type(amounts).__name__}; give a dict of amounts "
                "by primary key, such as {42: 3}."
            )
        pairs = [(member_of(self._model, pk), self._amount(by)) for pk, by in amounts.items()]
        count = partial(self._count, pairs, strict, operation)
        if self.on_commit if on_commit is None else on_commit:
            transaction.on_commit(of_now(count), using=router.db_for_write(self._model))
        else:
            count()

    async def aincrement(self, pk: Any, by: int = 1, **options: Any) -> None:
        """`increment` in a coroutine."""
        await sync_to_async(self.increment)(pk, by, **options)

    async def aincrement_many(self, amounts: Mapping[Any, int], **options: Any) -> None:
        """`increment_many` in a coroutine."""
        await sync_to_async(self.increment_many)(amounts, **options)

    async def avalues(self, pks: Iterable[Any]) -> dict[Any, int]:
        """`values` in a coroutine."""
        return await sync_to_async(self.values)(pks)

    async def apending(self, pk: Any = None) -> int:
        """`pending` in a coroutine."""
        return await sync_to_async(self.pending)(pk)

    def values(self, pks: Iterable[Any]) -> dict[Any, int]:
        """What rows' counts are now: what was flushed and what waits. Rows that are gone are left
        out. One look at the buffer server and one query for each thousand.
        """
        return live.counts(self, pks)

    def pending(self, pk: Any = None) -> int:
        """The sum of what waits to be flushed; of one row where one is given."""
        return live.pending(self, pk)

    def parse(self, raw: Mapping[bytes, bytes]) -> dict[Any, int]:
        pks = pks_of(self._model, list(raw))
        return dict(zip(pks, map(int, raw.values()), strict=True))

    def apply(self, connection: BaseDatabaseWrapper, changes: Mapping[Any, int]) -> int:
        column = fields.column(self._model, self.field).column
        return sql.add(connection, self._model, column, changes)

    def to_text(self, change: int) -> str:
        return str(change)

    def from_text(self, text: str) -> int:
        return int(text)

    def _amount(self, by: Any) -> int:
        if type(by) is not int:
            raise TypeError(
                f"{self.name}: the amount is {by!r}, a {type(by).__name__}; it must be an int."
            )
        if not -LARGEST_AMOUNT < by < LARGEST_AMOUNT:
            raise ValueError(f"{self.name}: the amount {by} does not fit into 64 bits.")
        return by

    def _count(
        self, pairs: Sequence[tuple[bytes, int]], strict: bool | None, operation: str | None
    ) -> None:
        is_strict = self.strict if strict is None else strict
        is_new = is_strict and operation is None and len(pairs) > LARGEST
        if is_new:
            operation = new_operation()  # One for all parts, by which all of it is tried again.
        if operation is not None:
            pairs = sorted(pairs)  # Tried again, each part must have the members that it had.
        for at in range(0, len(pairs), LARGEST):
            some = pairs[at : at + LARGEST]
            total = b"%d" % sum(by for _, by in some)
            flat = chain.from_iterable((member, b"%d" % by) for member, by in some)
            outcome = self._send(
                "count",
                (total, *flat),
                partial(self._changes, pairs[at:] if is_new else some),
                strict=is_strict,
                operation=operation,
                part=at,
                is_new=is_new,
            )
            if is_new and outcome in (None, FULL):
                break  # All of the rest was written: no later part may ask for another try.
        metrics.count(self.name, "increment", len(pairs))

    def _changes(self, pairs: Sequence[tuple[bytes, int]]) -> dict[Any, int]:
        pks = pks_of(self._model, [member for member, _ in pairs])
        found: dict[Any, int] = {}
        for pk, (_, by) in zip(pks, pairs, strict=True):
            found[pk] = found.get(pk, 0) + by  # A row may be named twice: as 7, and as "7".
        return found


class RowCounter:
    """The counter of one row: what `product.view_counter` is."""

    __slots__ = ("buffer", "instance")

    def __init__(self, buffer: CounterBuffer, instance: Model) -> None:
        self.buffer = buffer
        self.instance = instance

    def increment(self, by: int = 1, **options: Any) -> None:
        """Count for this row; see `CounterBuffer.increment`."""
        self.buffer.increment(self.instance.pk, by, **options)

    async def aincrement(self, by: int = 1, **options: Any) -> None:
        """`increment` in a coroutine."""
        await self.buffer.aincrement(self.instance.pk, by, **options)

    async def avalue(self) -> int:
        """`value` in a coroutine."""
        return await sync_to_async(getattr)(self, "value")

    @property
    def value(self) -> int:
        """What the count is now: what was flushed and what waits.

        Raises the model's `DoesNotExist` where the row is gone.
        """
        pk = self.instance.pk
        found = self.buffer.values([pk])
        if not found:
            raise type(self.instance).DoesNotExist(  # type: ignore[attr-defined]
                f"There is no {self.instance._meta.label} with the primary key {pk!r}."
            )
        (value,) = found.values()
        return value

    def pending(self) -> int:
        """What of it waits to be flushed."""
        return self.buffer.pending(self.instance.pk)

    async def apending(self) -> int:
        """`pending` in a coroutine."""
        return await self.buffer.apending(self.instance.pk)

    def __repr__(self) -> str:
        return f"<{self.buffer.name} of {self.instance!r}>"
