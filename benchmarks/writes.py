"""Writes, against the same writes to a plain model.

The tables are identical, with identical indexes, and equally full and freshly vacuumed before each
round. The rows that are written have been read before, so that there are entries to invalidate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

if TYPE_CHECKING:
    from django.db.models import Model

SINGLE = 20
"""Rows that are written one by one in a round."""

BULK = 1000
DELETED = 100
ROUNDS = 60

DURABLE = "every commit waits for the disk"
NOT_DURABLE = "synchronous_commit = off"


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        "writes: autocommit, rows whose entries are in the cache;\n"
        "ratios to the same write to a plain model on an identical table, in the same process "
        "and round",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import CachalotItem, CachedItem, CacheopsItem, PlainItem

    models: dict[str, type[Model]] = {
        "cachepatterns": CachedItem,
        "cacheops": CacheopsItem,
        "cachalot": CachalotItem,
    }
    ways = (DURABLE, NOT_DURABLE) if process == "cachepatterns" else (DURABLE,)
    for way in ways:
        with _committing(way):
            for write in WRITES:
                contenders = [
                    _contender(write, "Django", PlainItem),
                    _contender(write, process, models[process], bar=way == DURABLE),
                ]
                yield compare(
                    f"{write.name}; {way}",
                    process,
                    contenders,
                    rounds=rounds,
                    operations=write.operations,
                )


@contextmanager
def _committing(way: str) -> Iterator[None]:
    from .rows import execute

    if way == DURABLE:
        yield
        return
    execute("SET synchronous_commit = off")
    try:
        yield
    finally:
        execute("RESET synchronous_commit")


@dataclass(frozen=True)
class Write:
    """One kind of write.

    Args:
        name: as it is printed.
        run: the timed part; takes the model and what `prepare` gave.
        prepare: takes the model and the number of the round.
        operations: how many a round has.
        bar: what the library's ratio should stay under.
    """

    name: str
    run: Callable[[Any, Any], object]
    prepare: Callable[[Any, int], Any]
    operations: int = 1
    bar: float | None = None


def _contender(write: Write, name: str, model: type[Model], *, bar: bool = False) -> Contender:
    def prepare(number: int) -> Any:
        from .rows import vacuum

        argument = write.prepare(model, number)
        vacuum(model)
        return argument

    def tidy(_: Any) -> None:
        from .rows import delete_new

        delete_new(model)

    told = " by invalidated_update()" if write is UPDATE and name == "cacheops" else ""
    return Contender(
        f"{name}{told}",
        partial(write.run, model),
        prepare,
        tidy,
        write.bar if bar and name == "cachepatterns" else None,
    )


def _read(model: Any, number: int) -> list[Any]:
    """Instances to save: other ones each round, spread over the table."""
    pks = [(number * SINGLE + turn) * 37 % 10_000 + 1 for turn in range(SINGLE)]
    for pk in pks:
        model.objects.get(pk=pk)
    return [model.objects.get(pk=pk) for pk in pks]


def _new(count: int, model: Any, number: int) -> list[Any]:
    from .rows import ROWS, values

    start = ROWS + 1 + number % 10 * count
    return [values(start + turn) for turn in range(count)]


def _new_instances(model: Any, number: int) -> list[Any]:
    return [model(**each) for each in _new(BULK, model, number)]


def _range(model: Any, number: int) -> range:
    """Keys to update, whose rows are in the cache."""
    start = number % 10 * BULK + 1
    pks = range(start, start + BULK)
    list(model.objects.filter(pk__in=pks))
    return pks


def _doomed(model: Any, number: int) -> list[int]:
    """Keys of rows to delete, which are new and in the cache."""
    from .rows import insert_new

    pks = insert_new(model, DELETED)
    list(model.objects.filter(pk__in=pks))
    return pks


def save(model: Any, instances: Sequence[Any]) -> None:
    for instance in instances:
        instance.quantity += 1
        instance.save()


def create(model: Any, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        model.objects.create(**row)


def bulk_create(model: Any, instances: Sequence[Any]) -> None:
    model.objects.bulk_create(instances)


def update(model: Any, pks: range) -> None:
    rows = model.objects.filter(pk__gte=pks[0], pk__lte=pks[-1])
    # cacheops leaves update() uninvalidated; this is the method that it offers instead.
    change = getattr(rows, "invalidated_update", None) if _is_cacheops(model) else rows.update
    assert change is not None
    count = change(quantity=pks[0])
    if count is not None and count != BULK:
        raise RuntimeError(f"{count} rows were updated, not {BULK}")


def _is_cacheops(model: Any) -> bool:
    return bool(model.__name__ == "CacheopsItem")


def delete(model: Any, pks: Sequence[int]) -> None:
    model.objects.filter(pk__in=pks).delete()


UPDATE = Write(f"update() of {BULK:,} rows", update, _range, bar=1.3)
WRITES = (
    Write("save() of a row", save, _read, SINGLE, bar=1.35),
    Write("create()", create, partial(_new, SINGLE), SINGLE),
    Write(f"bulk_create() of {BULK:,} rows", bulk_create, _new_instances, bar=1.1),
    UPDATE,
    Write(f"delete() of {DELETED} rows", delete, _doomed),
)

if __name__ == "__main__":
    sys.exit(main(["writes"]))
