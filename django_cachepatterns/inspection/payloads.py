"""Payloads as data, by the codec that wrote them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Model

from .. import fields
from ..codecs import BUILT_IN, Column, codec_for, kinds
from ..exceptions import CodecError
from ..orm.rows import CachedRows, rows_in
from . import names
from .families import function_of, values_of
from .names import Name


def model_of(name: Name) -> type[Model] | None:
    """The model that a key is of; `None` where no app of the project has it."""
    try:
        return apps.get_model(name.label)
    except (LookupError, ValueError):
        return None


def rows_of_name(name: Name) -> CachedRows | None:
    """The rows that a key is of, for the present tenant; `None` where nobody reads them."""
    model, database = model_of(name), name.database
    return None if model is None or database is None else rows_in(model, database)


def source_of(name: Name, data: bytes) -> Any:
    """The source of an entry, see `sources.Source`; `None` where it is not known here."""
    if name.kind in (names.ROW, names.LOOKUP):
        rows = rows_of_name(name)
        if rows is None or name.kind == names.ROW:
            return rows
        return rows.lookups.get(frozenset(pair.partition("=")[0] for pair in name.rest.split("&")))
    owner: Any = None
    if name.kind == names.FUNCTION:
        owner = function_of(data)
    elif name.kind == names.VALUE:
        owner = values_of(name)
    reader = None if owner is None else owner.reader
    return None if reader is None else reader.source


def decoded(source: Any, payload: bytes) -> Any:
    """What a payload holds. Raises `CodecError`.

    Args:
        source: the entry's; `None`: each codec is tried.
    """
    if source is not None:
        return source.decode(payload)
    for name in BUILT_IN:
        try:
            return codec_for(name, [Column("value", kinds.ANY)]).decode(payload)["value"]
        except CodecError:
            continue
    raise CodecError("no codec of the library has written it")


def pk_name(rows: CachedRows) -> str:
    """The attribute of the primary key."""
    found: str = fields.primary_key(rows.model).attname
    return found
