"""What a draft says of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class DraftRow:
    """A row's values, by attribute and by subscript: `row.items`, `row["items"]`, `dict(row)`.

    No mapping, and with no method of a public name, because a column may be called `items`. It
    iterates over pairs of a name and a value, equals a dict of the same, and is always true.

    Args:
        model: the row's.
        pk: its primary key, as it was asked for.
        values: by the attnames of columns.
    """

    # Mangled names: no field has two underscores in a row.
    __slots__ = ("__model", "__pk", "__values")

    def __init__(self, model: Any, pk: Any, values: Mapping[str, Any]) -> None:
        self.__model = model
        self.__pk = pk
        self.__values = dict(values)

    @property
    def pk(self) -> Any:
        """The row's primary key."""
        return self.__pk

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_DraftRow__"):
            raise AttributeError(name)  # A copy that is being made has nothing yet.
        try:
            return self.__values[name]
        except KeyError:
            raise AttributeError(self.__missing(name)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__values[name]
        except KeyError:
            raise KeyError(self.__missing(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.__values.items())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DraftRow):
            same = self.__model is other.__model and self.__pk == other.__pk
            return same and self.__values == other.__values
        return self.__values == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self)
        return f"<draft of {self.__model._meta.label} {self.__pk!r}: {values}>"

    def __missing(self, name: str) -> str:
        known = ", ".join(self.__values) or "nothing"
        return f"{name!r} is not known of this row; known is: {known}."
