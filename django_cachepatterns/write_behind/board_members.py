"""Primary keys as the members of a leaderboard: texts whose bytes sort as the keys do.

Of equal scores the lower primary key comes first, on the board as in SQL.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Model

from .. import fields, keys

_OFFSET = 2**63


class Members:
    """The members of a model's rows.

    Args:
        model: whose primary keys.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._field = fields.target(fields.primary_key(model))
        kind = self._field.get_internal_type()
        self.are_integers = kind.endswith(("IntegerField", "AutoField"))
        self.are_texts = kind in ("CharField", "SlugField", "TextField")

    def member(self, pk: Any) -> bytes:
        """The member of a primary key, or of an instance.

        Raises what Django does for a wrong one, `TypeError` for `None`.
        """
        if type(pk) is not int or not self.are_integers:
            pk = self._prepared(pk)
        if type(pk) is int:
            return b"%019d" % pk if pk >= 0 else b"-%019d" % (pk + _OFFSET)
        if isinstance(pk, UUID):
            return pk.hex.encode()
        return keys.value_text(pk).encode("utf-8", "surrogatepass")

    def pk(self, member: bytes) -> Any:
        """The primary key of a member."""
        if self.are_integers:
            return int(member[1:]) - _OFFSET if member[:1] == b"-" else int(member)
        return self._field.to_python(member.decode("utf-8", "surrogatepass"))

    def _prepared(self, pk: Any) -> Any:
        if isinstance(pk, Model):
            pk = pk.pk
        if pk is None:
            raise TypeError(
                f"A {self._model._meta.label} without a primary key was given. Save it first."
            )
        pk = fields.prepared(self._model, pk)
        return int(pk) if self.are_integers else pk
