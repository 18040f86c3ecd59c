"""Dead letters of drafts: what newer values replace goes out of them.

So a letter holds the last value of each of its columns, and to write it later undoes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ... import metrics
from ..members import member_of
from ..records import DeadLetter
from .wire import from_text

if TYPE_CHECKING:
    from .draft import Draft

_SOME = 500


def supersede(draft: Draft, alias: str, written: Mapping[Any, Collection[str]]) -> None:
    """Take out of dead letters what is written now, in the open transaction that writes it.

    Args:
        written: the columns by their attnames, by primary key.
    """
    letters = DeadLetter.objects.using(alias).filter(buffer=draft.name)
    if not letters.exists():
        return
    columns = {
        member_of(draft.model, pk).decode("utf-8", "surrogatepass"): names
        for pk, names in written.items()
    }
    members = sorted(columns)
    for at in range(0, len(members), _SOME):
        some = letters.filter(member__in=members[at : at + _SOME]).select_for_update()
        for letter in some.order_by("pk"):
            _take_out(draft, letter, columns[letter.member])


def _take_out(draft: Draft, letter: DeadLetter, columns: Collection[str]) -> None:
    try:
        row = from_text(letter.payload)
    except ValueError:
        return  # Of another kind of buffer that had this name, or not to be read at all.
    left = {name: saved for name, saved in row.items() if name not in columns}
    if len(left) == len(row):
        return
    metrics.count(draft.name, "overtaken", len(row) - len(left))
    if left:
        letter.payload = draft.to_text(left)
        letter.save(update_fields=["payload"])
    else:
        letter.delete()
