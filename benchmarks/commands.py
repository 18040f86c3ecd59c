"""What each operation sends to the cache and to the database: counts, not times.

The server itself tells, by MONITOR. What a script does inside the server is counted apart: it is
no round trip. On a server of the benchmark's own, the sum of both is checked against the
differences of INFO commandstats.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .session import main
from .tables import Table

if TYPE_CHECKING:
    import redis

PROCESSES = ("cachepatterns",)
ROUNDS = 3
"""How often each operation is counted. The counts must be equal."""

PAGE = 50
BULK = 1000
CASCADE = 200
ABSENT = 10**9
NOT_COUNTED = {"MONITOR", "ECHO", "INFO", "CLIENT", "HELLO", "AUTH", "SELECT"}


@dataclass(frozen=True)
class Count:
    """What one operation took."""

    name: str
    sent: dict[str, int]
    in_scripts: dict[str, int]
    sql: int
    plain_sql: int


@dataclass(frozen=True)
class Operation:
    """One operation.

    Args:
        name: as it is printed.
        run: takes the models, and what `prepare` gave.
        prepare: what has to be so before.
    """

    name: str
    run: Callable[[Models, Any], object]
    prepare: Callable[[Models], Any] = field(default=lambda models: None)


@dataclass(frozen=True)
class Models:
    """This library's, or plain ones."""

    item: Any
    box: Any
    part: Any


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [
        ("", "sent to the cache", "inside scripts", "SQL", "SQL without the library")
    ]
    for count in (count for report in reports for count in report):
        lines.append(
            (
                f"  {count['name']}",
                _told(count["sent"]),
                _told(count["in_scripts"]),
                str(count["sql"]),
                str(count["plain_sql"]),
            )
        )
    return Table(
        "commands: what one operation sends, as the cache server counts it, and how many SQL\n"
        "statements it runs, BEGIN, COMMIT and savepoints with them",
        lines,
    )


def measure(process: str, rounds: int) -> Iterable[Count]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import CachedBox, CachedItem, CachedPart, PlainBox, PlainItem, PlainPart

    cached = Models(CachedItem, CachedBox, CachedPart)
    plain = Models(PlainItem, PlainBox, PlainPart)
    for operation in OPERATIONS:
        _counted(operation, cached, plain)
        counts = [_counted(operation, cached, plain) for _ in range(rounds)]
        if any(count != counts[0] for count in counts):
            raise RuntimeError(f"{operation.name}: the counts differ: {counts}")
        yield counts[0]


def _counted(operation: Operation, cached: Models, plain: Models) -> Count:
    from .reads import bare_client

    argument = operation.prepare(cached)
    settle()
    with bare_client() as client:
        before = _stats(client)
        with client.monitor() as monitor:
            sql = _statements(operation, cached, argument)
            settle()
            token = secrets.token_hex(8)
            client.echo(token)
            sent, in_scripts = _listened(monitor, token)
        _check(operation.name, sent + in_scripts, _stats(client) - before)
    plain_sql = _statements(operation, plain, operation.prepare(plain))
    return Count(operation.name, dict(sent), dict(in_scripts), sql, plain_sql)


def settle() -> None:
    """Have read every reply that this thread is owed, so that the server has done it all."""
    from django_cachepatterns.conf import config
    from django_cachepatterns.stores import store_of

    store_of(config()).channel.settle()


def _statements(operation: Operation, models: Models, argument: Any) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        operation.run(models, argument)
    return len(asked)


def _listened(monitor: Any, token: str) -> tuple[Counter[str], Counter[str]]:
    """The commands that clients sent until a token came by, and those that scripts ran."""
    sent: Counter[str] = Counter()
    in_scripts: Counter[str] = Counter()
    while True:
        said = monitor.next_command()
        if token in said["command"]:
            return sent, in_scripts
        name = said["command"].split()[0].upper()
        if name not in NOT_COUNTED:
            (in_scripts if said["client_type"] == "lua" else sent)[name] += 1


def _stats(client: redis.Redis) -> Counter[str]:
    stats: Any = client.info("commandstats")
    return Counter(
        {
            name.removeprefix("cmdstat_").upper(): each["calls"]
            for name, each in stats.items()
            if name.removeprefix("cmdstat_").upper().split("|")[0] not in NOT_COUNTED
        }
    )


def _check(name: str, listened: Counter[str], counted: Counter[str]) -> None:
    """Raise `RuntimeError` where the server's own statistics say something else."""
    if "BENCHMARKS_VALKEY_PID" in os.environ and listened != counted:
        raise RuntimeError(f"{name}: MONITOR told {listened}, INFO commandstats {counted}")


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "-"


def _hit(models: Models) -> int:
    models.item.objects.get(pk=1)
    return 1


def _slug(models: Models) -> str:
    slug: str = models.item.objects.get(pk=1).slug
    models.item.objects.get(slug=slug)
    return slug


def _page(models: Models) -> range:
    pks = range(1, PAGE + 1)
    list(models.item.objects.filter(pk__in=pks))
    return pks


def _missing(models: Models) -> int:
    from .reads import bare_client, entry_keys

    with bare_client() as client:
        client.delete(*entry_keys([2]))
    return 2


def _missing_page(models: Models) -> range:
    from .reads import bare_client, entry_keys

    pks = range(101, 101 + PAGE)
    with bare_client() as client:
        client.delete(*entry_keys(pks))
    return pks


def _absent(models: Models) -> int:
    models.item.objects.filter(pk=ABSENT).first()
    return ABSENT


def _part(models: Models) -> Any:
    box = models.box.objects.create(name="box")
    part = models.part.objects.create(box=box)
    models.box.objects.get(pk=box.pk)
    return models.part.objects.get(pk=part.pk)


def _cached(models: Models) -> Any:
    models.item.objects.get(pk=3)
    return models.item.objects.get(pk=3)


def _many(models: Models) -> range:
    pks = range(1, BULK + 1)
    list(models.item.objects.filter(pk__in=pks))
    return pks


def _rows(count: int) -> Callable[[Models], Any]:
    def prepare(models: Models) -> Any:
        from .rows import ROWS, delete_new, values

        delete_new(models.item)
        return [models.item(**values(ROWS + turn + 1)) for turn in range(count)]

    return prepare


def _new(models: Models) -> Any:
    from .rows import delete_new, insert_new

    delete_new(models.item)
    (pk,) = insert_new(models.item, 1)
    models.item.objects.get(pk=pk)
    return models.item.objects.get(pk=pk)


def _box(models: Models) -> Any:
    box = models.box.objects.create(name="box")
    models.part.objects.bulk_create([models.part(box=box) for _ in range(CASCADE)])
    parts = models.part.objects.filter(box=box)
    list(models.part.objects.filter(pk__in=list(parts.values_list("pk", flat=True))))
    return box


def _save_twice(models: Models, instance: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        instance.save()
        instance.save()


def _born(models: Models) -> None:
    """A batch that is under way, so that none has to be born."""
    if counter := getattr(models.item, "quantity_counter", None):
        counter.flush()
        counter.increment(1)


def _increment(models: Models, pks: Iterable[int]) -> None:
    from django.db.models import F

    if counter := getattr(models.item, "quantity_counter", None):
        counter.increment_many(dict.fromkeys(pks, 1))
        return
    for pk in pks:
        models.item.objects.filter(pk=pk).update(quantity=F("quantity") + 1)


def _seen(models: Models) -> int:
    """A row that is cached, with something that waits."""
    _born(models)
    models.item.objects.get(pk=1)
    return 1


def _value(models: Models, pk: int) -> int:
    if counter := getattr(models.item, "quantity_counter", None):
        return int(counter.values([pk])[pk])
    return int(models.item.objects.values_list("quantity", flat=True).get(pk=pk))


def _waiting(models: Models) -> None:
    """As many rows to flush; a plain model has none."""
    if hasattr(models.item, "quantity_counter"):
        _increment(models, range(1, BULK + 1))


def _flush(models: Models, _: None) -> None:
    if counter := getattr(models.item, "quantity_counter", None):
        counter.flush()


OPERATIONS = (
    Operation("get(pk=), hit", lambda models, pk: models.item.objects.get(pk=pk), _hit),
    Operation("get(slug=), hit", lambda models, slug: models.item.objects.get(slug=slug), _slug),
    Operation("foreign key, hit", lambda models, part: part.box.name, _part),
    Operation(
        f"filter(pk__in=) of {PAGE}, hits",
        lambda models, pks: list(models.item.objects.filter(pk__in=pks)),
        _page,
    ),
    Operation(
        f"in_bulk() of {PAGE}, hits", lambda models, pks: models.item.objects.in_bulk(pks), _page
    ),
    Operation(
        "no such row, hit", lambda models, pk: models.item.objects.filter(pk=pk).first(), _absent
    ),
    Operation("get(pk=), miss", lambda models, pk: models.item.objects.get(pk=pk), _missing),
    Operation(
        f"filter(pk__in=) of {PAGE}, misses",
        lambda models, pks: list(models.item.objects.filter(pk__in=pks)),
        _missing_page,
    ),
    Operation("save()", lambda models, instance: instance.save(), _cached),
    Operation("save() twice in atomic()", _save_twice, _cached),
    Operation("create()", lambda models, rows: rows[0].save(force_insert=True), _rows(1)),
    Operation(
        f"bulk_create() of {BULK:,}",
        lambda models, rows: models.item.objects.bulk_create(rows),
        _rows(BULK),
    ),
    Operation(
        f"update() of {BULK:,}",
        lambda models, pks: models.item.objects.filter(pk__in=pks).update(quantity=1),
        _many,
    ),
    Operation("increment(); update(F() + 1)", lambda models, _: _increment(models, [1]), _born),
    Operation(
        f"increment_many() of {BULK:,}; as many update(F() + 1)",
        lambda models, _: _increment(models, range(1, BULK + 1)),
        _born,
    ),
    Operation("a live value, row cached", _value, _seen),
    Operation(f"flush() of {BULK:,} rows", _flush, _waiting),
    Operation("delete() of a row", lambda models, instance: instance.delete(), _new),
    Operation(
        f"delete() of a row with a cascade of {CASCADE}",
        lambda models, box: box.delete(),
        _box,
    ),
)

if __name__ == "__main__":
    sys.exit(main(["commands"]))
