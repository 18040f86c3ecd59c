"""Dead letters: changes that the database refused, kept to be tried again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.utils import timezone

from .. import metrics
from ..transactions import write_log
from . import registry
from .members import member_of, pk_of
from .records import DeadLetter
from .refusals import Refusal, is_refusal

if TYPE_CHECKING:
    from .buffer import Buffer


def write(alias: str, buffer: Buffer[Any], batch: str, refused: Iterable[Refusal]) -> None:
    """Keep what was refused, in the open transaction of its batch."""
    now = timezone.now()
    DeadLetter.objects.using(alias).bulk_create(
        DeadLetter(
            buffer=buffer.name,
            batch=UUID(batch),
            member=member_of(buffer.model, pk).decode("utf-8", "surrogatepass"),
            payload=buffer.to_text(change),
            reason=reason,
            refused_at=now,
        )
        for pk, change, reason in refused
    )


def retry(letter: DeadLetter) -> str | None:
    """Write a dead letter's change once more. Returns why it is refused again, or `None`.

    Where it is taken, the letter goes in the same transaction, so that it counts once. A letter
    that somebody else has retried meanwhile is left alone. Of a row that is not there any more,
    nothing is left to write; the letter goes.

    Raises `PolicyError` where its buffer does not exist any more.
    """
    (buffer,) = registry.chosen([letter.buffer])
    alias = letter._state.db or buffer.alias
    try:
        with transaction.atomic(using=alias):
            mine = DeadLetter.objects.using(alias).filter(pk=letter.pk)
            if not mine._raw_delete(alias):
                return None
            pk = pk_of(buffer.model, letter.member.encode("utf-8", "surrogatepass"))
            write_log(alias).begin(buffer.touched([pk], alias))
            found = buffer.apply(connections[alias], {pk: buffer.from_text(letter.payload)})
            connections[alias].check_constraints()
    except DatabaseError as error:
        if not is_refusal(error):
            raise
        reason = f"{type(error).__name__}: {error}".strip()
        mine.update(attempts=F("attempts") + 1, reason=reason, refused_at=timezone.now())
        return reason
    metrics.count(buffer.name, "flushed" if found else "dropped")
    return None


def waiting(names: Sequence[str] = ()) -> list[DeadLetter]:
    """The dead letters of some buffers, or of all, in every database that has buffers.

    Raises `PolicyError` for a name that no buffer has.
    """
    chosen = registry.chosen(names)
    found: list[DeadLetter] = []
    for alias in dict.fromkeys(buffer.alias for buffer in chosen):
        letters = DeadLetter.objects.using(alias).order_by("pk")
        if names:
            letters = letters.filter(buffer__in=[buffer.name for buffer in chosen])
        found += letters
    return found
