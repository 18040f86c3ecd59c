"""`manage.py prune_ledger`: what keeps the ledger of write-behind small."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...exceptions import CachePatternsError
from ...write_behind.pruning import prune


class Command(BaseCommand):
    """Forgets batches that reached the database longer ago than LEDGER_KEEP."""

    help = "Forgets batches that reached the database longer ago than the setting LEDGER_KEEP says."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune. Raises `CommandError`."""
        try:
            pruned = prune()
        except CachePatternsError as error:
            raise CommandError(f"Nothing was pruned: {error}") from error
        for alias, number in pruned.items():
            self.stdout.write(f"{alias}: applied batches forgotten: {number}.")
        if not pruned:
            self.stdout.write("There are no write-behind buffers.")
