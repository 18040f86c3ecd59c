"""Hooks that are added are told, and those that were removed are not."""

from __future__ import annotations

from typing import Any

from django_cachepatterns import hooks


class Listener:
    def hear(self, details: Any) -> None:
        """Nothing."""


def test_a_method_that_was_added_can_be_removed() -> None:
    before = hooks.after_read
    listener, other = Listener(), Listener()
    hooks.add("after_read", listener.hear)
    hooks.add("after_read", other.hear)
    hooks.remove("after_read", listener.hear)
    assert hooks.after_read == (*before, other.hear)
    hooks.remove("after_read", other.hear)
    hooks.remove("after_read", other.hear)
    assert hooks.after_read == before
