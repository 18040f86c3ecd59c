"""What the name of a key says: whose it is, and what it holds. The reverse of `keys`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.db import connections

from .. import keys
from ..exceptions import CachePatternsError

ROW, LOOKUP, QUERY = "row", "lookup", "query"
ABSENCES, TABLE, INDEX, EVERY_INDEX = "absences", "table", "index", "every index"
TAG, FUNCTION, VALUE = "tag", "function", "value"
FRAGMENT, FRAGMENT_TAG, BUFFER = "fragment", "fragment tag", "buffer"
METRICS, WAITING, WAKE, OTHER = "metrics", "waiting", "wake", "other"

KINDS = (
    *(ROW, LOOKUP, QUERY, ABSENCES, TABLE, INDEX, EVERY_INDEX),
    *(TAG, FUNCTION, VALUE, FRAGMENT, FRAGMENT_TAG, BUFFER, METRICS, WAITING, WAKE, OTHER),
)
TAGS = frozenset({ABSENCES, TABLE, INDEX, EVERY_INDEX, TAG, FRAGMENT_TAG})
"""Kinds of keys that hold a version."""
_OF_MODELS = frozenset({ROW, LOOKUP, QUERY, ABSENCES, TABLE, INDEX, EVERY_INDEX})
ENTRIES = frozenset({ROW, LOOKUP, QUERY, FUNCTION, VALUE, FRAGMENT})
"""Kinds of keys that hold what was loaded."""


class UnknownKey(CachePatternsError):
    """A key that is not the library's, or is of no kind that it knows."""


class Name(NamedTuple):
    """The parts of a key.

    Args:
        key: the whole.
        root: what all keys of its tenant begin with: `cp`, `tenant:acme:cp`.
        tenant: as the key has it, a hash where the name is not plain; `None`: there is none.
        kind: one of `KINDS`.
        label: the model's label, or the name of a value, fragment, tag or buffer; of a function,
            its whole key.
        alias: the database, as the key has it; for models.
        rest: what follows.
    """

    key: str
    root: str
    tenant: str | None
    kind: str
    label: str
    alias: str
    rest: str

    @property
    def raw(self) -> bytes:
        """The key as the server has it."""
        return self.key.encode("utf-8", "surrogateescape")

    @property
    def database(self) -> str | None:
        """The alias of the database that a model's key is of; `None` where no such one is set."""
        return next((each for each in connections if keys.part(each) == self.alias), None)

    @property
    def is_of_model(self) -> bool:
        """Whether it begins with a model's label."""
        return self.kind in _OF_MODELS and not self.is_of_value

    @property
    def is_of_value(self) -> bool:
        """Whether it is of read-through or write-through values."""
        return self.key[len(self.root) :].startswith(":value:")

    @property
    def start(self) -> bytes:
        """What all keys of its model and database begin with, see `KeySpace.family`."""
        return keys.KeySpace(self.root).family(self.label, self.database or self.alias)


def name_of(key: str | bytes, prefix: str) -> Name:
    """The parts of a key.

    Args:
        prefix: the setting KEY_PREFIX.

    Raises `UnknownKey`.
    """
    text = key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key
    tenant, rest = _root(text, prefix)
    if rest is None:
        raise UnknownKey(
            f"{text!r} is not a key of this library, whose keys begin with '{prefix}:' or "
            f"'tenant:<name>:{prefix}:' (the setting KEY_PREFIX)."
        )
    root = text[: len(text) - len(rest) - 1]
    first, _, after = rest.partition(":")
    for suffix, kind in (("~waiting", WAITING), ("~wake", WAKE)):
        if rest.endswith(suffix):
            base = name_of(text.removesuffix(suffix), prefix)
            return base._replace(key=text, kind=kind)
    if first in _PARTS:
        kind, label = _PARTS[first](after)
        return Name(text, root, tenant, kind, label, "default", after)
    label, _, alias = first.partition("@")
    if "." not in label or not after:
        return Name(text, root, tenant, OTHER, first, "default", after)
    return Name(text, root, tenant, _of_model(after), label, alias or "default", after)


def _root(text: str, prefix: str) -> tuple[str | None, str | None]:
    """The tenant of a key, and what follows the prefix; the latter `None` for a foreign key."""
    own = f"{prefix}:"
    if text.startswith(own):
        return None, text[len(own) :]
    if text.startswith("tenant:"):
        tenant, _, rest = text.removeprefix("tenant:").partition(":")
        if rest.startswith(own):
            return tenant, rest[len(own) :]
    return None, None


def _of_model(rest: str) -> str:
    if not rest.startswith("~"):
        return LOOKUP if "=" in rest else ROW
    if rest.startswith("~q:"):
        return QUERY
    if rest in ("~rows", "~absences"):
        return TABLE if rest == "~rows" else ABSENCES
    return INDEX if "=" in rest else EVERY_INDEX


def _value(rest: str) -> tuple[str, str]:
    label, _, asked = rest.partition(":")
    return (ABSENCES if asked == "~absences" else VALUE), label


def _fragment(rest: str) -> tuple[str, str]:
    kind = FRAGMENT_TAG if rest.endswith("~all") else FRAGMENT
    return kind, rest.removesuffix("~all").partition(":")[0]


def _buffer(rest: str) -> tuple[str, str]:
    return BUFFER, rest[1:].partition("}")[0] if rest.startswith("{") else rest


_PARTS: dict[str, Callable[[str], tuple[str, str]]] = {
    "fn": lambda rest: (FUNCTION, rest),
    "value": _value,
    "fragment": _fragment,
    "tag": lambda rest: (TAG, rest),
    "buffer": _buffer,
    "metrics": lambda rest: (METRICS, rest),
}
