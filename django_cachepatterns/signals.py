"""Django signals of what the cache does. They cost nothing while no receiver is connected.

    from django_cachepatterns.signals import cache_invalidated, cache_read

    @receiver(cache_read)
    def note(sender, read, **kwargs): ...

They are sent in the thread that reads or writes, and what a receiver raises is logged. Where every
microsecond counts, use `hooks`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.dispatch import Signal

from . import hooks


class HookSignal(Signal):
    """A signal that listens to a hook while it has receivers.

    Args:
        hook: the name of the tuple in `hooks`.
        argument: what receivers get the hook's details as; the sender is their class.
    """

    def __init__(self, hook: str, argument: str) -> None:
        super().__init__()
        self._hook, self._argument = hook, argument
        self._told: Callable[[Any], None] = self._tell  # One object, to be found again.
        self._listening = threading.Lock()

    def connect(self, receiver: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As Django's. Raises `TypeError` for a coroutine function."""
        if iscoroutinefunction(receiver):
            raise TypeError(
                f"{receiver!r} is a coroutine function, and what it is told of happens in the "
                "middle of reads, some of them in an event loop that cannot wait for it. Connect a "
                "plain function, which may create a task."
            )
        super().connect(receiver, *args, **kwargs)
        self._listen()

    def disconnect(self, *args: Any, **kwargs: Any) -> bool:
        """As Django's."""
        found: bool = super().disconnect(*args, **kwargs)
        self._listen()
        return found

    def _listen(self) -> None:
        with self._listening:  # Of two that connect at once, only one adds it.
            hooks.remove(self._hook, self._told)
            if self.has_listeners():
                hooks.add(self._hook, self._told)

    def _tell(self, details: Any) -> None:
        if not self.receivers:
            return
        self.send_robust(sender=type(details), **{self._argument: details})


cache_read = HookSignal("after_read", "read")
"""Sent after each read, with `read`: a `hooks.Read`."""
cache_invalidated = HookSignal("after_invalidation", "invalidated")
"""Sent after each invalidation, with `invalidated`: a `hooks.Invalidated`."""
