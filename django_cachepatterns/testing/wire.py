"""What the library sends to its cache server, seen by a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hiredis

from ..stores.channel import Channel

SENDING = ("call", "call_many", "call_once", "post")
"""The methods by which a channel sends; each is one round trip, or a part of one."""


@contextmanager
def before_sending(tell: Callable[[bytes], object]) -> Iterator[None]:
    """Have a function told of what is about to be sent, by any thread of this process.

    Args:
        tell: gets the packed commands; what it raises is raised where they were to be sent.
    """
    plain = {name: getattr(Channel, name) for name in SENDING}

    def told(method: Callable[..., Any]) -> Callable[..., Any]:
        def send(channel: Channel, packed: Any, *args: Any) -> Any:
            tell(packed if isinstance(packed, bytes) else packed(channel.epoch))
            return method(channel, packed, *args)

        return send

    for name, method in plain.items():
        setattr(Channel, name, told(method))
    try:
        yield
    finally:
        for name, method in plain.items():
            setattr(Channel, name, method)


def commands_in(packed: bytes) -> list[str]:
    """The names of packed commands."""
    reader = hiredis.Reader()
    reader.feed(packed)
    names = []
    while (command := reader.gets()) is not False:
        names.append(command[0].decode())
    return names
