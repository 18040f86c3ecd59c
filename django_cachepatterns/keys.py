"""The names of cache keys.

Keys read like `cp:shop.product:42`, `cp:shop.product:slug=shoe`, and
`tenant:acme:cp:shop.product:42` where there is a tenant. A part that is long or holds anything
but plain characters is hashed whole, never cut, so that two names never share a key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

_PLAIN = re.compile(r"[A-Za-z0-9_.@+-]{1,80}\Z")


def part(text: str) -> str:
    """`text` where it is short and plain, else `#` and a 160-bit BLAKE2b hash of it."""
    if _PLAIN.match(text):
        return text
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def value_text(value: Any) -> str:
    """One text for each value of a column, the same for all values that the database calls equal.

    Raises `TypeError` for a type that has no such text.
    """
    kind = type(value)
    if kind is int or kind is str or kind is UUID:
        return str(value)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return str.__str__(value)  # Not an enumeration's own text.
    if isinstance(value, Decimal):
        return _decimal_text(value) if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(f"no stable text for a {kind.__name__}")


def _decimal_text(value: Decimal) -> str:
    text = format(value, "f")  # Not `normalize()`, which rounds to 28 digits.
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class BufferKeys:
    """The keys of one write-behind buffer.

    They have one hash tag, so that a cluster keeps them on one server.

    Args:
        root: what they begin with.
    """

    __slots__ = ("batches", "board", "claim", "due", "failures", "operation", "root", "sealed")

    def __init__(self, root: bytes) -> None:
        self.root = root
        self.batches = (root + b"active", root + b"active~meta", root + b"queue")
        """The active batch, what is known of it, and the queue of sealed ones."""
        self.sealed = root + b"sealed:"
        """What the keys of sealed batches begin with; the id follows."""
        self.operation = root + b"op:"
        """The same for operations that were sent under an id."""
        self.claim = root + b"claim"
        self.failures = root + b"failures"
        self.due = root + b"due"
        """While it is there, a tick of the schedule leaves the buffer alone."""
        self.board = root + b"board"


class MetricsKeys:
    """The keys of the figures that all processes send; they are of no tenant.

    Args:
        prefix: the setting `KEY_PREFIX`.
    """

    __slots__ = ("ever", "families", "fragments", "hot", "raw", "rolled", "root", "sent")

    def __init__(self, prefix: str) -> None:
        self.root = root = f"{prefix}:metrics:".encode()
        self.raw = root + b"raw:"
        """What the keys of minutes that are not rolled up begin with; the minute follows."""
        self.rolled = root + b"rolled"
        """The first minute that is not rolled up."""
        self.ever = root + b"ever"
        """What was counted since there are figures."""
        self.fragments = root + b"families:fragment"
        """The names of fragments that are counted, of a month."""
        self.families = root + b"families"
        """The names of other families that are."""
        self.hot = root + b"hot:"
        """The same for the sampled keys of an hour."""
        self.sent = root + b"sent:"
        """The same for what a process has sent last; its token follows."""

    def block(self, level: str, number: int) -> bytes:
        """Figures by family, slot by slot: `cp:metrics:minute:490123`."""
        return self.root + f"{level}:{number}".encode()

    def sums(self, level: str, number: int) -> bytes:
        """The sums of a block."""
        return self.block(level, number) + b":sum"


class KeySpace:
    """All keys of one prefix and tenant.

    Args:
        prefix: the setting `KEY_PREFIX`.
        tenant: what the `TENANT` callable returned, or `None`.
    """

    __slots__ = ("root",)

    def __init__(self, prefix: str, tenant: str | None = None) -> None:
        self.root = prefix if tenant is None else f"tenant:{part(str(tenant))}:{prefix}"

    def family(self, label: str, alias: str = "default") -> bytes:
        """What all keys of a model start with, separator included: `cp:shop.product:`."""
        where = "" if alias == "default" else f"@{part(alias)}"
        return f"{self.root}:{label}{where}:".encode()

    def buffer(self, name: str) -> BufferKeys:
        """The keys of a write-behind buffer: `cp:buffer:{shop.product.views}:active` and others."""
        return BufferKeys(f"{self.root}:buffer:{{{part(name)}}}:".encode())

    def tag(self, name: str) -> bytes:
        """The key of a tag that a user named: `cp:tag:catalog`."""
        return f"{self.root}:tag:{part(name)}".encode()


def row(family: bytes, pk: Any) -> bytes:
    """The key of one row. Raises `TypeError` where the pk has no stable text."""
    if type(pk) is int:
        return family + b"%d" % pk
    return family + part(value_text(pk)).encode()


def lookup(family: bytes, names: Iterable[str], values: Iterable[Any]) -> bytes:
    """The key of a lookup: `cp:shop.product:slug=shoe`, `...:category=7&sku=a-1`."""
    pairs = (f"{name}={part(value_text(value))}" for name, value in zip(names, values, strict=True))
    return family + "&".join(pairs).encode()


def absences(family: bytes) -> bytes:
    """The key of the tag that every negative entry of a family depends on."""
    return family + b"~absences"


def table(family: bytes) -> bytes:
    """The key of the tag that everything read from any of a table's rows depends on."""
    return family + b"~rows"


def index(family: bytes, attname: str, value: Any) -> bytes:
    """The key of the tag of the rows that have a value in a column of the policy's `indexes`."""
    return family + f"~{attname}={part(value_text(value))}".encode()


def every_index(family: bytes, attname: str) -> bytes:
    """The key of the tag for writes of which nobody knows the values: beside each `index` tag."""
    return family + f"~{attname}".encode()


def query(family: bytes, digest: str) -> bytes:
    """The key of a query's result."""
    return family + f"~q:{digest}".encode()


def family_in(stem: str, prefix: str) -> str | None:
    """The family that metrics count an entry under, by its key without the last part.

    `None` for functions, fragments and tags, whose keys do not say it.
    """
    whole = f":{stem}"
    at = whole.find(f":{prefix}:")
    if at < 0:
        return None
    rest = whole[at + len(prefix) + 2 :]
    kind, _, name = rest.partition(":")
    if kind == "value":
        return None if name.startswith("#") else name
    if name or kind in ("tag", "fn", "fragment"):
        return None
    return kind.partition("@")[0]
