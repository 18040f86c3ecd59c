"""Dead letters: changes that the database refused, kept to be tried again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from .. import metrics
from ..exceptions import CodecError
from ..transactions import write_log
from . import registry
from .members import member_of, pk_of
from .records import DeadLetter
from .refusals import Refusal, is_refusal
from .tenants import aliases_of

if TYPE_CHECKING:
    from .buffer import Buffer


class Outcome(Enum):
    """What became of a dead letter that was tried again."""

    WRITTEN = "written"
    REFUSED = "refused"
    """The database refuses it still; the letter stays, with the new reason."""
    DROPPED = "dropped"
    """Its row is not there any more, so nothing is left to write; the letter went."""
    GONE = "gone"
    """Somebody else has retried, discarded or changed it meanwhile."""


class Retried(NamedTuple):
    """What became of a dead letter that was tried again, and why where it was refused."""

    outcome: Outcome
    reason: str = ""


class Unreadable(NamedTuple):
    """A member of a batch that its buffer cannot read, and why."""

    member: bytes
    value: bytes
    reason: str


UNREADABLE = (ValueError, TypeError, LookupError, ValidationError, CodecError)
"""What reading a member or its value back may raise."""


def write(alias: str, buffer: Buffer[Any], batch: str, refused: Iterable[Refusal]) -> None:
    """Keep what was refused, in the open transaction of its batch."""
    refused = list(refused)
    buffer.refused(alias, {each.pk: each.change for each in refused})
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


def write_unreadable(
    alias: str, buffer: Buffer[Any], batch: str, members: Iterable[Unreadable]
) -> None:
    """Keep what could not be read, as it is, in the open transaction of its batch."""
    now = timezone.now()
    DeadLetter.objects.using(alias).bulk_create(
        DeadLetter(
            buffer=buffer.name,
            batch=UUID(batch),
            member=_readable(member),
            payload=_readable(value),
            reason=_readable(f"It cannot be read: {reason}".encode("utf-8", "backslashreplace")),
            refused_at=now,
        )
        for member, value, reason in members
    )


def _readable(raw: bytes) -> str:
    """Bytes as a text that every database holds."""
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def retry(letter: DeadLetter) -> Retried:
    """Write a dead letter's change once more, to the database that the letter is in.

    Where it is taken, the letter goes in the same transaction, so that it counts once, however many
    try.

    Raises `PolicyError` where its buffer does not exist any more, and what the database does where
    that is in trouble.
    """
    (buffer,) = registry.chosen([letter.buffer])
    alias = letter._state.db or buffer.alias
    mine = DeadLetter.objects.using(alias).filter(pk=letter.pk, payload=letter.payload)
    try:
        pk = pk_of(buffer.model, letter.member.encode("utf-8", "surrogatepass"))
        change = buffer.from_text(letter.payload)
    except UNREADABLE as error:
        return _refused(mine, f"It cannot be read: {type(error).__name__}: {error}")
    try:
        with transaction.atomic(using=alias):
            # Who else retries it waits here for the end of this transaction.
            if not mine._raw_delete(alias):
                return Retried(Outcome.GONE)
            write_log(alias).begin(buffer.touched([pk], alias))
            found = buffer.apply(connections[alias], {pk: change})
            connections[alias].check_constraints([buffer.model._meta.db_table])
            buffer.rewritten([pk])
    except DatabaseError as error:
        if not is_refusal(error):
            raise
        return _refused(mine, f"{type(error).__name__}: {error}".strip())
    metrics.count(buffer.name, "flushed" if found else "dropped")
    return Retried(Outcome.WRITTEN if found else Outcome.DROPPED)


def _refused(mine: QuerySet[DeadLetter], reason: str) -> Retried:
    mine.update(attempts=F("attempts") + 1, reason=reason, refused_at=timezone.now())
    return Retried(Outcome.REFUSED, reason)


def waiting(names: Sequence[str] = ()) -> list[QuerySet[DeadLetter]]:
    """The dead letters of some buffers, or of all: a queryset for each database that has buffers.

    Raises `PolicyError` for a name that no buffer has.
    """
    chosen = registry.chosen(names)
    found = []
    for alias in dict.fromkeys(alias for buffer in chosen for alias in aliases_of(buffer)):
        letters = DeadLetter.objects.using(alias).order_by("pk")
        if names:
            letters = letters.filter(buffer__in=[buffer.name for buffer in chosen])
        found.append(letters)
    return found
