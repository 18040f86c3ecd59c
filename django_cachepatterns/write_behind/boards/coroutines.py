"""Leaderboards in coroutines: each call in a thread, as Django's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from asgiref.sync import sync_to_async

from .standing import Standing


class BoardCoroutines:
    """The calls of a leaderboard, to be awaited."""

    increment: Callable[..., None]
    increment_many: Callable[..., None]
    submit: Callable[..., None]
    submit_many: Callable[..., None]
    top: Callable[..., list[Standing]]
    around: Callable[..., list[Standing]]
    rank: Callable[..., int | None]
    score: Callable[..., int | None]
    size: Callable[..., int]
    pending: Callable[[], int]
    remove: Callable[..., None]
    reset: Callable[..., None]
    rebuild: Callable[..., None]
    refresh: Callable[..., None]

    async def apending(self) -> int:
        """`pending` in a coroutine."""
        return await sync_to_async(self.pending)()

    async def aincrement(self, pk: Any, by: int = 1, **options: Any) -> None:
        """`increment` in a coroutine."""
        await sync_to_async(self.increment)(pk, by, **options)

    async def aincrement_many(self, amounts: Mapping[Any, int], **options: Any) -> None:
        """`increment_many` in a coroutine."""
        await sync_to_async(self.increment_many)(amounts, **options)

    async def asubmit(self, pk: Any, score: int, **options: Any) -> None:
        """`submit` in a coroutine."""
        await sync_to_async(self.submit)(pk, score, **options)

    async def asubmit_many(self, scores: Mapping[Any, int], **options: Any) -> None:
        """`submit_many` in a coroutine."""
        await sync_to_async(self.submit_many)(scores, **options)

    async def atop(self, n: int, offset: int = 0) -> list[Standing]:
        """`top` in a coroutine."""
        return await sync_to_async(self.top)(n, offset)

    async def aaround(self, pk: Any, n: int) -> list[Standing]:
        """`around` in a coroutine."""
        return await sync_to_async(self.around)(pk, n)

    async def arank(self, pk: Any) -> int | None:
        """`rank` in a coroutine."""
        return await sync_to_async(self.rank)(pk)

    async def ascore(self, pk: Any) -> int | None:
        """`score` in a coroutine."""
        return await sync_to_async(self.score)(pk)

    async def asize(self) -> int:
        """`size` in a coroutine."""
        return await sync_to_async(self.size)()

    async def aremove(self, pk: Any) -> None:
        """`remove` in a coroutine."""
        await sync_to_async(self.remove)(pk)

    async def areset(self) -> None:
        """`reset` in a coroutine."""
        await sync_to_async(self.reset)()

    async def arebuild(self) -> None:
        """`rebuild` in a coroutine."""
        await sync_to_async(self.rebuild)()

    async def arefresh(self, pks: Iterable[Any]) -> None:
        """`refresh` in a coroutine."""
        await sync_to_async(self.refresh)(pks)
