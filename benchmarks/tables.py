"""Tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

PROCESS_NAMES = {"cacheops": "django-cacheops", "cachalot": "django-cachalot"}


def ratios(title: str, reports: Iterable[list[dict[str, Any]]], *, unit: str = "us") -> str:
    """The table of what `rounds.compare` measured, section by section."""
    lines: list[Sequence[str]] = [("", "ratio", "10th..90th", f"median, {unit}", "bar")]
    sections = sorted(chain.from_iterable(reports), key=_by_title(reports))
    last = None
    for section in sections:
        if section["title"] and section["title"] != last:
            lines.append(())
            lines.append((section["title"],))
        last = section["title"]
        if section["process"] in PROCESS_NAMES:
            lines.append((f"  in a process of {PROCESS_NAMES[section['process']]}",))
        lines += [_line(each, unit) for each in section["measured"]]
    return f"{title}\n\n{aligned(lines)}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines in columns: names to the left, the rest to the right. One cell alone is a heading."""
    rows = [line for line in lines if len(line) > 1]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
        for line in lines
    )


def _by_title(reports: Iterable[list[dict[str, Any]]]) -> Any:
    """Sections of one title together, in the order in which titles first appear."""
    order: dict[str, int] = {}
    for section in chain.from_iterable(reports):
        order.setdefault(section["title"], len(order))
    return lambda section: order[section["title"]]


def _line(measured: dict[str, Any], unit: str) -> Sequence[str]:
    ratio, bar = measured["ratio"], measured["bar"]
    time = measured["time"] / (1000 if unit == "ms" else 1)
    return (
        f"    {measured['name']}",
        "1" if ratio is None else f"{ratio:.2f}",
        "" if ratio is None else f"{measured['low']:.2f}..{measured['high']:.2f}",
        f"{time:,.1f}" if unit == "us" else f"{time:,.2f}",
        "" if bar is None else f"<= {bar:g} {'met' if ratio <= bar else 'MISSED'}",
    )
