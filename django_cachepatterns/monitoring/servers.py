"""Whether the servers answer."""

from __future__ import annotations

from typing import Literal

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..stores import inspector_of

Server = Literal["CACHE", "BUFFER_CACHE"]
"""A server, by the setting that names it."""


def silence(server: Server) -> str | None:
    """Why a server does not answer; `None` where it does.

    It takes a few times the setting TIMEOUT at most.
    """
    try:
        inspector_of(conf.config(), server).ping()
    except (StoreUnavailable, PolicyError) as error:
        return str(error)
    return None
