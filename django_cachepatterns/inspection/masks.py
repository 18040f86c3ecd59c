"""Keys for who may not read what entries hold: the values in them are as private as those.

`email=ann@example.com` becomes `email=***5a2f01c9`. The digits are a keyed hash, so two keys can be
told apart, and nobody can find the value by trying: they need the project's SECRET_KEY. Nor do they
have them made: a key that somebody has typed is shown without digits.
"""

from __future__ import annotations

import re

from django.core.exceptions import FieldDoesNotExist
from django.utils.crypto import salted_hmac

from .. import fields
from ..cache_aside import cached_functions
from . import names
from .names import UnknownKey, name_of
from .payloads import model_of
from .secrets import STARS, key_without_secrets

MARK = "***"
DIGITS = 8
_DIGITS = re.compile(rf"\*\*\*[0-9a-f]{{{DIGITS}}}")
_READABLE = re.compile(r"(?:[A-Za-z0-9_.@]+=)?-?[0-9]+|True|False|None|")
"""Arguments that say nothing private: numbers, and rows by such a primary key."""


def key_for(key: str, prefix: str, may_read: bool) -> str:
    """A key as somebody is to see it; secrets are starred out of it for everybody.

    Args:
        prefix: the setting KEY_PREFIX.
        may_read: whether they may read what entries hold.
    """
    shown = key_without_secrets(key, prefix)
    return shown if may_read else masked(shown, prefix)


def typed_key_for(key: str, prefix: str, may_read: bool) -> str:
    """The same of a key that they have typed: its digits would tell whether a guess was right."""
    shown = key_for(key, prefix, may_read)
    return shown if may_read else _DIGITS.sub(MARK, shown)


def masked(key: str, prefix: str) -> str:
    """A key with the values masked that its entry is looked up by.

    Primary keys stay, and columns that hold those of other rows. Of functions, values and fragments
    all arguments are masked but numbers. Other keys come back as they are.
    """
    try:
        name = name_of(key, prefix)
    except UnknownKey:
        return key
    before = key[: len(key) - len(name.rest)]
    if name.kind in (names.LOOKUP, names.INDEX):
        return before + "&".join(_pair(name, pair) for pair in name.rest.split("&"))
    if name.kind == names.FUNCTION:
        return before + _call(name.rest, before)
    if name.kind == names.VALUE:
        label, colon, asked = name.rest.partition(":")
        return before + label + colon + _argument(asked, before + label)
    if name.kind in (names.FRAGMENT, names.FRAGMENT_TAG):
        return before + _fragment(name, before)
    return key


def _pair(name: names.Name, pair: str) -> str:
    column, _, value = pair.partition("=")
    if value == STARS or _is_primary_key(name, column.removeprefix("~")):
        return pair
    return f"{column}={_mask(value, f'{name.label}:{column}')}"


def _is_primary_key(name: names.Name, column: str) -> bool:
    """Whether a column holds primary keys, its own table's or another's."""
    model = model_of(name)
    if model is None:
        return False
    try:
        return bool(fields.target(fields.column(model, column)).primary_key)
    except FieldDoesNotExist:
        return False


def _call(rest: str, before: str) -> str:
    """A function's key: its own words stay. Where no function here has it, nobody knows those."""
    best: re.Match[str] | None = None
    most = -1
    for function in cached_functions().values():
        literals = function.key_literals
        found = re.fullmatch("([^:]+)".join(map(re.escape, literals)), rest)
        if found is not None and (size := sum(map(len, literals))) > most:
            best, most = found, size
    if best is None:
        return _argument(rest, before)
    shown, at = "", 0
    for number, text in enumerate(best.groups(), 1):
        shown += rest[at : best.start(number)] + _argument(text, before)
        at = best.end(number)
    return shown + rest[at:]


def _fragment(name: names.Name, before: str) -> str:
    """A fragment's: of an entry, what it varies on follows its name and three parts of its place;
    of a tag, its name."""
    is_tag = name.kind == names.FRAGMENT_TAG
    parts = name.rest.removesuffix("~all").split(":")
    own = 1 if is_tag else 4
    shown = [*parts[:own], *(_argument(each, before) for each in parts[own:])]
    return ":".join(shown) + ("~all" if is_tag else "")


def _argument(text: str, where: str) -> str:
    return text if _READABLE.fullmatch(text) else _mask(text, where)


def _mask(text: str, where: str) -> str:
    """The same for the same text at the same place, and for hardly any other."""
    made = salted_hmac("django_cachepatterns.masks", f"{where}={text}", algorithm="sha256")
    return MARK + made.hexdigest()[:DIGITS]
