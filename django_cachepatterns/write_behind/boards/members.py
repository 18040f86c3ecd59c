"""Primary keys as the members of a leaderboard: texts whose bytes sort as the keys do.

Of equal scores the lower primary key comes first, on the board as in SQL.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from ... import fields
from ..members import member_of

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
        self._is_uuid = kind == "UUIDField"
        self.are_texts = kind in ("CharField", "SlugField", "TextField")

    def member(self, pk: Any) -> bytes:
        """The member of a primary key, or of an instance.

        Raises as `members.member_of` does.
        """
        if type(pk) is not int or not self.are_integers or not -_OFFSET < pk < _OFFSET:
            text = member_of(self._model, pk)
            if not self.are_integers:
                return text.replace(b"-", b"") if self._is_uuid else text
            pk = int(text)
        return b"%019d" % pk if pk >= 0 else b"-%019d" % (pk + _OFFSET)

    def pk(self, member: bytes) -> Any:
        """The primary key of a member."""
        if self.are_integers:
            return int(member[1:]) - _OFFSET if member[:1] == b"-" else int(member)
        return self._field.to_python(member.decode("utf-8", "surrogatepass"))
