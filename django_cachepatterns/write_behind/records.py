"""The tables of write-behind: what has reached the database, what it refused, and what has
overtaken the buffers.
"""

from __future__ import annotations

from django.db import models

from ..conf import require_app

require_app()  # Django would complain of the models below, of which nobody has heard.


class LedgerEntry(models.Model):
    """A batch that has reached the database, in the transaction that brought it there.

    While its row is here, the same batch is not applied again, whoever tries.
    """

    batch = models.UUIDField(primary_key=True, editable=False)
    buffer = models.CharField(max_length=200)
    rows = models.PositiveIntegerField()
    applied_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "cachepatterns_ledger"
        verbose_name = "applied batch"
        verbose_name_plural = "applied batches"

    def __str__(self) -> str:
        return f"{self.buffer}: {self.rows} rows"


class DeadLetter(models.Model):
    """A row's change that the database refused, kept until somebody has mended the cause."""

    buffer = models.CharField(max_length=200, db_index=True)
    batch = models.UUIDField()
    member = models.TextField(help_text="The primary key of the row.")
    payload = models.TextField(help_text="What was to be written, as its buffer spells it.")
    reason = models.TextField()
    refused_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=1)

    class Meta:
        db_table = "cachepatterns_dead_letter"

    def __str__(self) -> str:
        return f"{self.buffer}: {self.member}"


class DirectWrite(models.Model):
    """A column of a row that was written around its draft's buffer: what was saved before that, and
    waits, or comes back with an old copy of the buffer, is not written any more.
    """

    buffer = models.CharField(max_length=200)
    member = models.CharField(max_length=80, help_text="The primary key of the row.")
    column = models.CharField(max_length=100, blank=True, help_text="Empty: all of them.")
    at = models.BigIntegerField(help_text="Microseconds since 1970, by the writer's clock.")

    class Meta:
        db_table = "cachepatterns_direct_write"
        constraints = (
            models.UniqueConstraint(
                fields=["buffer", "member", "column"], name="cachepatterns_direct_write_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.buffer}: {self.member} {self.column}".strip()


RECORDS = (LedgerEntry, DeadLetter, DirectWrite)
"""All of them: the tables that migrations of this app make."""
