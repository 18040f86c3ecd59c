"""Drafts: rows, or some of their columns, that are saved at the speed of the buffer server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from ... import metrics
from ...exceptions import CodecError, PolicyError, StoreUnavailable
from ...invalidation import touched, versions
from ...stores.buffers import LARGEST
from ...transactions import write_log
from .. import around, problems, registry
from ..buffer import FEW_ROWS, Buffer
from ..members import member_of, pk_of, pks_of
from ..tenants import of_now
from . import letters, live, sql, wire
from . import problems as draft_problems
from .row import DraftRow
from .values import DraftColumn
from .wire import Saved

Row = dict[str, Saved]
"""What was saved of a row, by attname."""


class Draft(Buffer[Row]):
    """Rows that are saved often and written to the database now and then: of each value, the last.

        cart = Draft(Cart, fields=["items"], flush_every=5)

        cart.save(pk, items={"shoe": 1})
        cart.get(pk).items

    Args:
        model: a model, or its name: `shop.Cart`.
        fields: the names of the columns, or one; `None`: all of them but the primary key.
        create: whether a row that is not there is inserted, with the model's defaults in what was
            not saved. If not, what was saved of it is dropped. By default whole rows are.
        name: of its own among all buffers; `shop.Cart-draft` if none is given.
        on_commit: whether what is saved in a transaction counts only if that commits.
        flush_every, when_full, strict: see `Buffer`.
        batch_rows, max_pending: as there, but it is values that are counted: two columns of a row
            are two.
    """

    kind = "Draft"

    def __init__(
        self,
        model: type[Model] | str,
        *,
        fields: Iterable[str] | str | None = None,
        create: bool | None = None,
        name: str | None = None,
        on_commit: bool = False,
        **options: Any,
    ) -> None:
        label = model if isinstance(model, str) else model._meta.label
        super().__init__(name or f"{label}-draft", **options)
        self._label = label
        self._model: type[Model] | None = None if isinstance(model, str) else model
        if isinstance(fields, str):
            fields = [fields]
        self.fields = None if fields is None else tuple(fields)
        self.create = self.fields is None if create is None else create
        self.on_commit = on_commit
        self._columns: dict[str, DraftColumn] = {}
        self._attnames: dict[str, str] = {}
        registry.register(self)

    @property
    def model(self) -> type[Model]:
        """The model. Raises `LookupError` where the name is that of none."""
        if self._model is None:
            self._model = apps.get_model(self._label)
        return self._model._meta.concrete_model or self._model

    def signature(self) -> str:
        """See `Buffer`. Models need not be loaded for it."""
        written = "whole rows" if self.fields is None else ", ".join(self.fields)
        return f"{self.kind} of {self._label}: {written}"

    def problems(self) -> list[problems.Problem]:
        """See `Buffer`."""
        found = list(draft_problems.of_columns(self))
        return found or [*super().problems(), *draft_problems.of_others(self)]

    def columns(self) -> Sequence[str]:
        """See `Buffer`. Raises `PolicyError` where the draft cannot be of these columns."""
        return list(self._by_attname())

    def column(self, attname: str) -> DraftColumn:
        """One column, by its attname."""
        return self._by_attname()[attname]

    def save(self, pk: Any, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Save values of a row: one command.

        Args:
            pk: the row's primary key, or an instance.
            values: by the names of fields, for names that are no keywords.
            named: the same as keywords: `cart.save(7, items={})`.

        Raises `TypeError` for a field that is not drafted, `ValueError` for a value that its column
        does not take, `PolicyError` for a column that is given twice, `BufferFull` and
        `OutcomeUnknown`.
        """
        for name in named.keys() & (values or {}).keys():
            raise self._given_twice(name, name)
        self._save([(pk, {**(values or {}), **named})], None, None, None)

    def save_many(
        self,
        rows: Mapping[Any, Mapping[str, Any]],
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Save values of several rows, in one round trip for each thousand values.

        Args:
            rows: values by the names of fields, by primary key.
            strict: send an operation id, so that it is sent again where no reply came.
            operation: an id of the caller's own, for tries of the caller's own.
            on_commit: save only if the open transaction commits.
        """
        self._save(rows.items(), strict, operation, on_commit)

    def _save(
        self,
        rows: Iterable[tuple[Any, Mapping[str, Any]]],
        strict: bool | None,
        operation: str | None,
        on_commit: bool | None,
    ) -> None:
        at = around.now()
        saved = [(member_of(self.model, pk), self._encoded(at, row)) for pk, row in rows]
        put = partial(self._put, saved, strict, operation)
        if self.on_commit if on_commit is None else on_commit:
            transaction.on_commit(of_now(put), using=self.alias)
        else:
            put()

    def get(self, pk: Any) -> DraftRow | None:
        """What a row says now: what was flushed, and over it what waits. `None` where there is
        neither. One look at the buffer server and one query.
        """
        return self.get_many([pk]).get(pk)

    def get_many(self, pks: Iterable[Any]) -> dict[Any, DraftRow]:
        """The same of several rows, by their primary keys; what is nowhere is left out."""
        return dict(live.rows_of(self, list(pks)))

    def discard(self, pk: Any) -> None:
        """Drop what waits of a row: before it is deleted, so that it is not written again.

        In a transaction, what waits is dropped only if that commits.
        """
        self.discard_many([pk])

    def discard_many(self, pks: Iterable[Any]) -> None:
        """The same of several rows."""
        at, alias = around.now(), self.alias
        members = [member_of(self.model, pk) for pk in pks]
        written = dict.fromkeys(pks_of(self.model, members), self.columns())
        with transaction.atomic(using=alias):
            # Letters are locked first, as by a flush: neither waits for the other then.
            letters.supersede(self, alias, written)
            # For a flush that has read it already, and for a server that cannot be reached.
            around.record(alias, self.name, ((each, around.EVERYTHING, at) for each in members))
            letters.supersede(self, alias, written)  # Those that were written meanwhile.
            transaction.on_commit(_Discard(self, members), using=alias)

    async def asave(
        self, pk: Any, values: Mapping[str, Any] | None = None, /, **named: Any
    ) -> None:
        """`save` in a coroutine."""
        await sync_to_async(self.save)(pk, values, **named)

    async def asave_many(self, rows: Mapping[Any, Mapping[str, Any]], **options: Any) -> None:
        """`save_many` in a coroutine."""
        await sync_to_async(self.save_many)(rows, **options)

    async def aget(self, pk: Any) -> DraftRow | None:
        """`get` in a coroutine."""
        return await sync_to_async(self.get)(pk)

    async def aget_many(self, pks: Iterable[Any]) -> dict[Any, DraftRow]:
        """`get_many` in a coroutine."""
        return await sync_to_async(self.get_many)(pks)

    async def adiscard(self, pk: Any) -> None:
        """`discard` in a coroutine."""
        await sync_to_async(self.discard)(pk)

    def pending(self) -> int:
        """How many rows wait to be flushed; one that waits in two batches counts twice.

        Raises `StoreUnavailable`.
        """
        return sum(each.total for each in self.backlog())

    async def apending(self) -> int:
        """`pending` in a coroutine."""
        return await sync_to_async(self.pending)()

    def defaults(self) -> dict[str, Any]:
        """What columns hold in a row that is inserted, and nothing was saved of them.

        Those whose default the database computes are left out.
        """
        connection = connections[self.alias]
        found = {}
        for name, column in self._by_attname().items():
            with suppress(LookupError):
                found[name] = column.default(connection)
        return found

    def not_overtaken(
        self, member: bytes, row: Mapping[str, Saved], written: Mapping[tuple[bytes, str], int]
    ) -> Row:
        """What of a row is no older than what was written around the buffer."""
        if not written:
            return dict(row)
        everything = written.get((member, around.EVERYTHING), 0)
        return {
            name: saved
            for name, saved in row.items()
            if saved.at >= max(everything, written.get((member, name), 0))
        }

    def parse(self, raw: Mapping[bytes, bytes]) -> dict[Any, Row]:
        """See `Buffer`."""
        found: dict[bytes, Row] = {}
        for key, value in raw.items():
            name, _, member = key.partition(b":")
            if name.decode() not in self._by_attname():
                raise LookupError(f"{name.decode()!r} is not among the draft's fields any more")
            found.setdefault(member, {})[name.decode()] = wire.decode(value)
        return dict(zip(pks_of(self.model, list(found)), found.values(), strict=True))

    def apply(self, connection: BaseDatabaseWrapper, changes: Mapping[Any, Row]) -> int:
        """See `Buffer`. What a later write around the buffer has overtaken is left out."""
        alias = connection.alias
        letters.supersede(self, alias, changes)
        there = self._locked(connection, changes)
        missing = [pk for pk in changes if pk not in there]
        if missing and self.create:
            around.open_gate(alias, self.name, self._members(missing))
        rows = self._left(alias, changes)
        write_log(alias).begin(self._new_values_touched(rows, alias))
        while missing and self.create:
            fresh = {pk: rows[pk] for pk in missing if rows[pk]}
            if not fresh or self._inserted(connection, fresh):
                there.update(fresh)
                break
            there |= self._locked(connection, missing)
            missing = [pk for pk in missing if pk not in there]
            rows = self._left(alias, changes)
        written = {pk: rows[pk] for pk in rows if pk in there}
        sql.update(connection, self.model, self._by_attname(), _values(written))
        if self.create:
            around.close_gate(alias, self.name)
        return len(there)

    def write_now(self, changes: Mapping[Any, Row]) -> int:
        """See `Buffer`. Has what waits not undo it."""
        alias = self.alias
        with transaction.atomic(using=alias):
            around.record(alias, self.name, self._written(changes))
            return super().write_now(changes)

    def refused(self, alias: str, changes: Mapping[Any, Row]) -> None:
        """See `Buffer`. Older letters of the same values have nothing to say any more."""
        letters.supersede(self, alias, changes)

    def to_text(self, change: Row) -> str:
        """See `Buffer`."""
        return wire.to_text(change)

    def from_text(self, text: str) -> Row:
        """See `Buffer`. Raises `ValueError`."""
        row = wire.from_text(text)
        if gone := row.keys() - set(self.columns()):
            raise ValueError(f"{', '.join(sorted(gone))}: not among the draft's fields any more")
        return row

    def _by_attname(self) -> dict[str, DraftColumn]:
        if not self._columns:
            for problem in draft_problems.of_columns(self):
                raise PolicyError(f"{self.name}: {problem.message} {problem.hint}")
            found = draft_problems.chosen_fields(self)
            self._attnames = {name: each.attname for each in found for name in _names(each)}
            self._columns = {each.attname: DraftColumn(each) for each in found}
        return self._columns

    def _encoded(self, at: int, row: Mapping[str, Any]) -> dict[str, bytes]:
        columns, connection = self._by_attname(), connections[self.alias]
        if not row:
            raise TypeError(f"{self.name}: no value was given. Use one of: {', '.join(columns)}.")
        found = {}
        for name, value in row.items():
            attname = self._attnames.get(name)
            if attname is None:
                raise TypeError(
                    f"{self.name}: {name!r} is not drafted. Use one of: {', '.join(columns)}; or "
                    "name it in the draft's fields."
                )
            if attname in found:
                first = next(each for each in row if self._attnames[each] == attname)
                raise self._given_twice(first, name)
            prepared = columns[attname].prepare(value, connection)
            try:
                found[attname] = wire.encode(Saved(at, prepared))
            except CodecError as error:
                raise ValueError(f"{self.name}: {name} cannot be {value!r}: {error}") from error
        return found

    def _given_twice(self, first: str, second: str) -> PolicyError:
        both = f"{first} and {second} are" if first != second else f"{first} is"
        return PolicyError(
            f"{self.name}: {both} given for one column, and which of the values is meant cannot be "
            "known. Give it once."
        )

    def _put(
        self,
        saved: Sequence[tuple[bytes, dict[str, bytes]]],
        strict: bool | None,
        operation: str | None,
    ) -> None:
        self._spare([member for member, _ in saved])
        columns = [name.encode() for name in self.columns()]
        head = (b"%d" % len(columns), *columns)
        for at, some in _parts(saved):
            flat = chain.from_iterable(
                (member, b"%d" % len(row), *chain.from_iterable(_pairs(row)))
                for member, row in some
            )
            self._send(
                "put",
                (*head, *flat),
                partial(self._changes, some),
                strict=strict,
                operation=operation,
                part=at,
            )
        metrics.count(self.name, "save", len(saved))

    def _changes(self, saved: Sequence[tuple[bytes, dict[str, bytes]]]) -> dict[Any, Row]:
        return {
            pk_of(self.model, member): {name: wire.decode(raw) for name, raw in row.items()}
            for member, row in saved
        }

    def _spare(self, members: Sequence[bytes]) -> None:
        """Have what is saved now not go with what the open transaction has discarded before."""
        connection = connections[self.alias]
        if connection.in_atomic_block:
            for each in connection.run_on_commit:
                callback: object = each[1]
                if isinstance(callback, _Discard) and callback.draft is self:
                    callback.spare(members)

    def discard_now(self, members: Sequence[bytes]) -> None:
        """Take rows out of the buffer, by their members."""
        columns = [name.encode() for name in self.columns()]
        size = max(1, LARGEST // len(columns))
        for at in range(0, len(members), size):
            try:
                self.server().discard(self.keys(), columns, members[at : at + size])
            except (StoreUnavailable, PolicyError):
                return  # What waits there is overtaken.

    def _members(self, pks: Iterable[Any]) -> list[bytes]:
        return [member_of(self.model, pk) for pk in pks]

    def _written(self, changes: Mapping[Any, Row]) -> Iterator[tuple[bytes, str, int]]:
        everything = len(self.columns())
        for pk, row in changes.items():
            member = member_of(self.model, pk)
            if len(row) == everything:
                yield member, around.EVERYTHING, max(saved.at for saved in row.values())
            else:
                yield from ((member, name, saved.at) for name, saved in row.items())

    def _locked(self, connection: BaseDatabaseWrapper, pks: Iterable[Any]) -> set[Any]:
        unique = any(column.field.unique for column in self._by_attname().values())
        return sql.locked(connection, self.model, pks, unique=unique)

    def _left(self, alias: str, changes: Mapping[Any, Row]) -> dict[Any, Row]:
        """What is no older than what was written around the buffer. Asked when rows are locked."""
        members = dict(zip(changes, self._members(changes), strict=True))
        written = around.newest(alias, self.name, list(members.values()))
        left = {pk: self.not_overtaken(members[pk], row, written) for pk, row in changes.items()}
        overtaken = sum(map(len, changes.values())) - sum(map(len, left.values()))
        if overtaken:
            metrics.count(self.name, "overtaken", overtaken)
        return left

    def _inserted(self, connection: BaseDatabaseWrapper, rows: Mapping[Any, Row]) -> bool:
        alias = connection.alias
        log = write_log(alias)
        log.begin(touched.by_insert(self.model, alias))
        log.begin(touched.by_keys(self.model, list(rows), alias))
        log.begin(versions.of_any_value(self.model, alias))
        return sql.insert(connection, self.model, self._by_attname(), _values(rows))

    def _new_values_touched(self, rows: Mapping[Any, Row], alias: str) -> Iterator[bytes]:
        """What rows touch by the values that they take on; `touched` is by those that they have."""
        model, mine = self.model, set(self.columns())
        lookups = mine & touched.lookup_columns(model, alias)
        indexes = mine & versions.index_columns(model, alias)
        if lookups and len(rows) > FEW_ROWS:
            yield from touched.by_insert(model, alias)
        if not (lookups or indexes) or len(rows) > FEW_ROWS:
            return
        connection = connections[alias]
        for row in rows.values():
            values = {
                name: self.column(name).read(row[name].value, connection)
                for name in row.keys() & (lookups | indexes)
            }
            yield from touched.by_lookup_values(model, values.__getitem__, alias, values.keys())
            yield from versions.of_known_values(model, values, alias)


class _Discard:
    """What a transaction discards when it commits.

    What it has saved of a row after that stays in the buffer, and so does all that waits of the
    row: what is older than the discard is left out by its moment.
    """

    def __init__(self, draft: Draft, members: Iterable[bytes]) -> None:
        self.draft = draft
        self._members = dict.fromkeys(members)
        self._discard = of_now(self._discard_now)

    def spare(self, members: Iterable[bytes]) -> None:
        """Leave rows alone."""
        for member in members:
            self._members.pop(member, None)

    def __call__(self) -> None:
        self._discard()

    def _discard_now(self) -> None:
        self.draft.discard_now(list(self._members))


def _names(field: Any) -> tuple[str, str]:
    return field.name, field.attname


def _values(rows: Mapping[Any, Row]) -> dict[Any, dict[str, Any]]:
    return {pk: {name: saved.value for name, saved in row.items()} for pk, row in rows.items()}


def _pairs(row: Mapping[str, bytes]) -> Iterator[tuple[bytes, bytes]]:
    return ((name.encode(), value) for name, value in row.items())


def _parts(
    saved: Sequence[tuple[bytes, dict[str, bytes]]],
) -> Iterator[tuple[int, list[tuple[bytes, dict[str, bytes]]]]]:
    """Rows in parts of not too many values, each with the number of the first."""
    some: list[tuple[bytes, dict[str, bytes]]] = []
    size = start = 0
    for at, each in enumerate(saved):
        if some and size + len(each[1]) > LARGEST:
            yield start, some
            some, size, start = [], 0, at
        some.append(each)
        size += len(each[1])
    if some:
        yield start, some
