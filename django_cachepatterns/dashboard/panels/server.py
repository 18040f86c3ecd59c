"""The health of the cache server."""

from __future__ import annotations

from typing import Any

from ... import inspection
from ..glance import Glance


def health(glance: Glance) -> dict[str, Any]:
    """What the server says of itself."""
    return {"health": glance.ask(inspection.server, None), "down": glance.down.get("CACHE")}
