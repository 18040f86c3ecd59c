"""Following the rows of leaderboards that are written otherwise: made, saved and deleted.

The receivers are of the board's model and of the classes derived from it, each by itself and never
of all: a receiver of every model would cost every project its fast deletes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.db.models import Model, signals

from ... import fields
from ...exceptions import PolicyError, StoreUnavailable

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

_followed: dict[str, Leaderboard] = {}


def follow(board: Leaderboard) -> None:
    """Listen to the writes of a board's model, as soon as there is that model."""
    _followed[board.name.lower()] = board
    signals.class_prepared.connect(_prepared, weak=False, dispatch_uid=f"{__name__}.prepared")
    signals.post_migrate.connect(_migrated, weak=False, dispatch_uid=f"{__name__}.migrated")
    app_label, _, name = board.label.partition(".")
    apps.lazy_model_operation(partial(_connect, board), (app_label, name.lower()))


def leave(board: Leaderboard) -> None:
    """Listen no more: for tests that make boards."""
    model = board.known_model()
    if _followed.pop(board.name.lower(), None) is not None and model is not None:
        for each in _family(model):
            for signal in (signals.post_save, signals.post_delete):
                signal.disconnect(sender=each, dispatch_uid=_uid(board))


def _connect(board: Leaderboard, model: type[Model]) -> None:
    if _followed.get(board.name.lower()) is board:
        for each in _family(board.take(model)):
            _listen(board, each)


def _family(model: type[Model]) -> Iterator[type[Model]]:
    """A model and what is derived from it: a save of that is a save of its row."""
    yield model
    for each in model.__subclasses__():
        yield from _family(each)


def _prepared(sender: type[Model], **kwargs: Any) -> None:
    """A model was made."""
    for board in _followed.values():
        model = board.known_model()
        if model is not None and issubclass(sender, model):
            _listen(board, sender)


def _listen(board: Leaderboard, model: type[Model]) -> None:
    for signal, receiver in ((signals.post_save, _saved), (signals.post_delete, _deleted)):
        # Where a module is loaded again, its new board takes the place of the old one.
        signal.disconnect(sender=model, dispatch_uid=_uid(board))
        uid, told = _uid(board), partial(receiver, board)
        signal.connect(told, sender=model, weak=False, dispatch_uid=uid)


def _uid(board: Leaderboard) -> str:
    return f"{__name__}.{board.name.lower()}"


def _saved(
    board: Leaderboard,
    sender: type[Model],
    instance: Model,
    using: str,
    created: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    wrote_score = created or update_fields is None or board.field in update_fields
    if wrote_score and using == board.alias:
        board.rewritten([_key(board, instance)])


def _deleted(
    board: Leaderboard, sender: type[Model], instance: Model, using: str, **kwargs: Any
) -> None:
    if using == board.alias:
        board.rewritten([_key(board, instance)])


def _key(board: Leaderboard, instance: Model) -> Any:
    """The key of the row that has the score; a derived class may have another.

    Where only the derived part was written, as `loaddata` does, only its link says so.
    """
    key = getattr(instance, fields.primary_key(board.model).attname)
    link = instance._meta.get_ancestor_link(board.model)
    return key if key is not None or link is None else getattr(instance, link.attname)


def _migrated(
    sender: AppConfig, plan: Sequence[tuple[Any, bool]] | None = None, **kwargs: Any
) -> None:
    """An app was migrated, or the database was flushed: nobody knows what that has written."""
    if plan is not None and all(step.app_label != sender.label for step, _ in plan):
        return
    for board in _followed.values():
        if board.label.partition(".")[0] == sender.label:
            try:
                board.server().drop(board.board_keys())
            except (StoreUnavailable, PolicyError):
                continue  # There is none, or nobody can say.
