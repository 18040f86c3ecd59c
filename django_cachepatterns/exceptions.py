"""Every error that the library raises by itself."""

from __future__ import annotations


class CachePatternsError(Exception):
    """Base of the library's run-time errors."""


class StoreUnavailable(CachePatternsError):
    """The cache server could not be reached, timed out, or refused the command.

    Callers inside the library answer it with the database; hardly anybody outside sees it.
    """


class OutcomeUnknown(StoreUnavailable):
    """A command was sent and no reply came: it may have been carried out.

    Raised to the caller by write-behind with `strict=True`, which may ask again under the same
    operation id: that is `operation`.
    """

    def __init__(self, message: str, operation: str | None = None) -> None:
        super().__init__(message)
        self.operation = operation


class BufferFull(CachePatternsError):
    """More rows wait to be written behind than `max_pending`, and `when_full` is "raise"."""


class CodecError(CachePatternsError):
    """A value cannot be carried without changing it, or a payload cannot be read back."""


class PolicyError(CachePatternsError, ValueError):
    """A policy or a setting is wrong; the message names the fault and the remedy."""


class UncacheableQuery(CachePatternsError):
    """A query cannot be cached; the message says why, and what to do instead."""
