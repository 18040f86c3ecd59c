"""A session engine of a project's own."""

from tests.testapp.plain import AccountSessionStore as SessionStore

__all__ = ["SessionStore"]
