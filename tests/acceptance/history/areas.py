"""What of the library a run puts to the test."""

from __future__ import annotations

ROWS = "rows"
LOOKUPS = "lookups"
LISTS = "lists"
COUNTS = "counts"
WRITE_THROUGH = "write_through"
FUNCTIONS = "functions"
SESSIONS = "sessions"

AREAS = (ROWS, LOOKUPS, LISTS, COUNTS, WRITE_THROUGH, FUNCTIONS, SESSIONS)
ITEMS = frozenset({ROWS, LOOKUPS})
"""Those that are about the items of `ground`, and judged by the versions in their rows."""


def are_about_items(areas: tuple[str, ...]) -> bool:
    """Whether any of the areas is about items."""
    return bool(ITEMS & set(areas))
