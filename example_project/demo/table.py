"""The demo's one table."""

from __future__ import annotations

from .figures import Figures
from .load import Load

NOTES = """\
reads/s         {readers} processes: get() by key or ({by_slug:.0%}) slug, popular products often
SQL statements  executed by those reads; {start}
hit rate        answered by the cache, as the library counts it
stale reads     older than a direct read of the committed value just before; {check:.0%} of reads
                are checked so, and left out of the lines above (but for the hit rate)
stampede loads  loads of a row while another process was loading the same row
writes          committed + rolled back: update(F()), save() and bulk updates at a given pace,
                by {writers} processes"""

COLD = "the cache is empty when its round begins"
WARM = "every product was read once before each round"


def rows(without: Figures, cached: Figures) -> list[tuple[str, str, str, str]]:
    """Name, without the cache, with it, and how they compare."""
    return [
        _row("reads/s", "{:,.0f}", without.reads_per_second, cached.reads_per_second),
        _row("p50 latency, ms", "{:.3f}", without.p50 * 1000, cached.p50 * 1000),
        _row("p99 latency, ms", "{:.3f}", without.p99 * 1000, cached.p99 * 1000),
        _row("reads", "{:,}", without.reads, cached.reads),
        _row("SQL statements", "{:,}", without.statements, cached.statements),
        _row(
            "SQL per 1,000 reads",
            "{:,.1f}",
            1000 * without.statements / without.reads,
            1000 * cached.statements / cached.reads,
        ),
        ("hit rate", _percent(without.hit_rate), _percent(cached.hit_rate), ""),
        ("stale reads", _stale(without), _stale(cached), ""),
        _row("stampede loads", "{:,}", without.stampede_loads, cached.stampede_loads),
        ("writes", _writes(without), _writes(cached), ""),
    ]


def text(load: Load, by_slug: float, without: Figures, cached: Figures) -> str:
    """The table and what its lines mean."""
    lines = [("", "without cache", "with cache", "ratio"), *rows(without, cached)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = []
    for name, *values in lines:
        cells = (value.rjust(width) for value, width in zip(values, widths[1:], strict=True))
        table.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
    table.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    notes = NOTES.format(
        by_slug=by_slug,
        readers=load.readers,
        writers=load.writers,
        check=load.check_share,
        start=COLD if load.cold else WARM,
    )
    return "\n".join([*table, "", notes])


def _row(name: str, form: str, without: float, cached: float) -> tuple[str, str, str, str]:
    ratio = f"x {cached / without:.3g}" if without else ""
    return name, form.format(without), form.format(cached), ratio


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _stale(figures: Figures) -> str:
    return f"{figures.stale:,} of {figures.checked:,}"


def _writes(figures: Figures) -> str:
    return f"{figures.committed:,} + {figures.rolled_back:,}"
