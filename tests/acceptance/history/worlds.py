"""What else than items the library caches, by area: what is asked, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .areas import COUNTS, FUNCTIONS, LISTS, LOOKUPS, SESSIONS, WRITE_THROUGH
from .ask import Ask
from .hand import Hand
from .subject import Styles


class World(NamedTuple):
    """Questions to the cache, and what changes the answers."""

    asks: Sequence[Ask]
    styles: Callable[[Hand], Styles]


def worlds(areas: tuple[str, ...]) -> Iterator[World]:
    """Those that some areas need. What they do not need is not imported."""
    if {LOOKUPS, LISTS, COUNTS, FUNCTIONS} & set(areas):
        yield _read_through(areas)
    if WRITE_THROUGH in areas:
        yield _write_through()
    if {FUNCTIONS, WRITE_THROUGH} & set(areas):
        yield from _notices(areas)
    if SESSIONS in areas:
        yield _sessions()


def _read_through(areas: tuple[str, ...]) -> World:
    from tests.testapp.models import Piece

    from .pieces import asks as piece_asks
    from .pieces.ground import PIECE
    from .pieces.relations import RelationStyles
    from .pieces.styles import Pieces, PieceStyles

    asks = [ask for ask in piece_asks.read_through() if ask.area in areas]
    if FUNCTIONS in areas:
        from .notices import library

        asks += library.of_models(areas)
    pieces = Pieces(Piece, PIECE, asks, by_signals_only=False)
    return World(
        asks,
        lambda hand: {
            **PieceStyles(hand, pieces).by_name(),
            **RelationStyles(hand, asks).by_name(),
        },
    )


def _write_through() -> World:
    from tests.testapp.models import WrittenPiece

    from .pieces import asks as piece_asks
    from .pieces.ground import WRITTEN
    from .pieces.styles import Pieces, PieceStyles

    asks = list(piece_asks.write_through())
    pieces = Pieces(WrittenPiece, WRITTEN, asks, by_signals_only=False)
    return World(asks, lambda hand: dict(PieceStyles(hand, pieces).by_name()))


def _notices(areas: tuple[str, ...]) -> Iterator[World]:
    from .notices import library
    from .notices.styles import NoticeStyles

    for source in library.sources(areas):
        yield World(
            source.asks, lambda hand, source=source: dict(NoticeStyles(hand, source).by_name())
        )


def _sessions() -> World:
    from django_cachepatterns.contrib.sessions import SessionStore

    from .sessions import ground
    from .sessions.styles import SessionStyles

    asks = list(ground.asks(SessionStore))
    return World(asks, lambda hand: dict(SessionStyles(hand, SessionStore, asks).by_name()))
