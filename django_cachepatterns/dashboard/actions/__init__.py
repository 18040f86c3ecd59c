"""What can be done from the dashboard: asked with GET, confirmed, done with POST."""

from __future__ import annotations

from .action import Action, Said
from .flush import FLUSH
from .invalidate import INVALIDATE
from .operation import Operation
from .retry import RETRY
from .warm import WARM

__all__ = ["ACTIONS", "Action", "Operation", "Said"]

ACTIONS = {action.name: action for action in (INVALIDATE, WARM, FLUSH, RETRY)}
