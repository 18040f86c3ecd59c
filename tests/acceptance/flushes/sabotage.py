"""Flushing with one of its safeguards taken away: what the kill test must notice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

from django_cachepatterns.stores import buffers
from django_cachepatterns.stores.scripts import Script
from django_cachepatterns.write_behind import flushing, ledger

ACK_WHATEVER_IS_FIRST = b"""
local id = redis.call('LPOP', KEYS[1])
if not id then return 0 end
local first = string.sub(KEYS[2], 1, #KEYS[2] - #ARGV[1]) .. id
redis.call('UNLINK', first, first .. '~meta')
return 1
"""


def without_ledger() -> None:
    """No batch is put into the ledger: each is new, whoever comes."""
    ledger.record = lambda *args: True


def without_id_check() -> None:
    """Ack takes the first batch of the queue, without a look at which one that is."""
    replace_script("ack", lambda _: ACK_WHATEVER_IS_FIRST)


def without_transaction() -> None:
    """The ledger's row and the rows' new counts are committed one by one."""
    flushing.transaction = SimpleNamespace(atomic=lambda **options: nullcontext())


def without_epoch() -> None:
    """A batch that was active before a restart of the server goes on being the active one."""
    replace_script("count", _replacing(b"if known[1] == ARGV[3] then", b"if known[1] then"))


def with_ids_at_sealing() -> None:
    """A batch has its id from the moment that it is sealed, not from birth."""
    replace_script("seal", _replacing(b"local id = call('HGET', KEYS[2], 'id')", b"local id"))


def without_operations() -> None:
    """An operation is carried out as often as it is tried."""
    replace_script("count", _replacing(b"if was_done() then return 0 end", b""))


def _replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(source: bytes) -> bytes:
        if source.count(old) != 1:
            raise ValueError(f"The script does not have {old!r} once. Sabotage it otherwise.")
        return source.replace(old, new)

    return change


def replace_script(name: str, change: Callable[[bytes], bytes]) -> None:
    """Have buffers run a changed script."""
    honest = buffers.script
    source = change(honest(name).source)
    changed = Script(source, hashlib.sha1(source).hexdigest().encode())
    buffers.script = lambda wanted: changed if wanted == name else honest(wanted)


SABOTAGES: dict[str, Callable[[], None]] = {
    "without ledger": without_ledger,
    "without id check": without_id_check,
    "without transaction": without_transaction,
    "without epoch": without_epoch,
    "with ids at sealing": with_ids_at_sealing,
    "without operations": without_operations,
}
