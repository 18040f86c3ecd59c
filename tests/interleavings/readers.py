"""The real reader with one thing about it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from django_cachepatterns import entry
from django_cachepatterns.reader import loading, looking
from django_cachepatterns.transactions import installable

SIZE = 1 + entry.TOKEN_SIZE


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes of modules or classes, replaced in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, new in changes:
            patch.setattr(owner, name, new)
        yield


def _captured_again(self: Any, held: Any, loaded: Any, token: Any, cost: Any) -> Any:
    tags = self.source.tags(held[0])
    fresh = entry.tag(entry.new_token())
    _, current = yield lambda: self.store.lease([], b"", 1, tags, fresh)
    token.tags = dict(zip(tags, current, strict=True))
    yield from _FILL(self, held, loaded, token, cost)


_FILL = loading.Loading._fill


def _versions_of_marks(self: Any, names: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(self.tags[name][1:SIZE] for name in names)


def _is_current_under_marks(data: bytes, tags: Sequence[bytes | None]) -> bool:
    return entry.versions_of(data) == b"".join((tag or b"")[1:SIZE] for tag in tags)


UNSAFE: dict[str, list[tuple[Any, str, Any]]] = {
    "versions are captured after the load": [(loading.Loading, "_fill", _captured_again)],
    "versions are not compared": [(looking, "is_current", lambda data, tags: True)],
    "a mark is taken for a version": [
        (loading.Token, "versions", _versions_of_marks),
        (looking, "is_current", _is_current_under_marks),
        (looking, "is_mark", lambda data: False),
    ],
}

UNSAFE_INSTALLS: dict[str, list[tuple[Any, str, Any]]] = {
    "others may stand in the mark": [
        (installable, "_is_alone", lambda mark, writer: mark[:1] == entry.MARK)
    ],
}
