"""The tables of write-behind: what has reached the database, and what it refused."""

from __future__ import annotations

from django.db import models


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
