"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of cells, the first to the left and the others to the right."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        first, *rest = (
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join((first, *rest)).rstrip()


def milliseconds(seconds: float | None) -> str:
    """A time in milliseconds, in three digits or so; a dash where there is none."""
    if seconds is None:
        return "-"
    number = seconds * 1000
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def percent(share: float | None) -> str:
    """A share; never rounded up to 100 %. A dash where there is none."""
    if share is None:
        return "-"
    return f"{min(share, 0.9999) if share < 1 else 1:.2%}".replace(".00%", "%")
