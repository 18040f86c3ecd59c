"""`manage.py prune_ledger`: what keeps the ledger of write-behind small."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, InterfaceError

from ...exceptions import CachePatternsError
from ...write_behind.pruning import prune
from ...write_behind.troubles import reason_of
from ..reporting import Failure, Report, ReportingCommand


class Command(ReportingCommand):
    """Forgets batches that reached the database longer ago than LEDGER_KEEP."""

    help = "Forgets batches that reached the database longer ago than the setting LEDGER_KEEP says."

    def run(self, *args: Any, **options: Any) -> Report:
        """Prune. Raises `CommandError`."""
        try:
            pruned = prune()
        except (CachePatternsError, DatabaseError, InterfaceError) as error:
            raise Failure(f"Nothing was pruned: {reason_of(error)}") from error
        for alias, number in pruned.items():
            self.tell(f"{alias}: applied batches forgotten: {number}.")
        if not pruned:
            self.tell("There are no write-behind buffers.")
        return {"forgotten": pruned}
