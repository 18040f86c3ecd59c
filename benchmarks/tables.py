"""Tables, for a terminal and for docs/benchmarks.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

PROCESS_NAMES = {"cacheops": "django-cacheops", "cachalot": "django-cachalot"}


@dataclass(frozen=True)
class Table:
    """Cells under a title.

    Args:
        title: a sentence or two.
        lines: the first is the head. One cell alone is a heading, no cell an empty line.
    """

    title: str
    lines: Sequence[Sequence[str]]

    def text(self) -> str:
        """Names to the left, the rest to the right."""
        rows = [line for line in self.lines if len(line) > 1]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        aligned = (
            "  ".join(
                cell.rjust(width) if at else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=False))
            ).rstrip()
            for line in self.lines
        )
        return f"{self.title}\n\n" + "\n".join(aligned)

    def markdown(self) -> str:
        """The same for docs/benchmarks.md."""
        head, *rest = self.lines
        out = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
        for line in filter(None, rest):
            cells = [cell.strip() for cell in line]
            out.append(_row(cells if len(cells) > 1 else [f"**{cells[0]}**"], len(head)))
        title = self.title.replace("\n", " ")
        return f"{title[0].upper()}{title[1:]}.\n\n" + "\n".join(out)


def ratios(
    title: str, reports: Iterable[list[dict[str, Any]]], median: str = "median, us"
) -> Table:
    """The table of what `rounds.compare` measured, section by section.

    Args:
        median: the head of the times.
    """
    lines: list[Sequence[str]] = [("", "ratio", "10th..90th", median, "bar")]
    sections = sorted(chain.from_iterable(reports), key=_by_title(reports))
    last = None
    for section in sections:
        if section["title"] and section["title"] != last:
            lines.append(())
            lines.append((section["title"],))
        last = section["title"]
        if section["process"] in PROCESS_NAMES:
            lines.append((f"  in a process of {PROCESS_NAMES[section['process']]}",))
        lines += [_line(each) for each in section["measured"]]
    return Table(title, lines)


def put(path: Path, name: str, markdown: str) -> None:
    """Replace a table in a Markdown file, between its two comments; add it if there is none."""
    old = path.read_text() if path.exists() else ""
    marked = between_marks(name, markdown)
    pattern = re.compile(f"{re.escape(_begin(name))}.*?{re.escape(_end(name))}", re.DOTALL)
    new, count = pattern.subn(lambda _: marked, old)
    path.write_text(new if count else f"{old}\n{marked}\n".lstrip("\n"))


def between_marks(name: str, markdown: str) -> str:
    """A table with the comments by which it is found again."""
    return f"{_begin(name)}\n{markdown}\n{_end(name)}"


def _begin(name: str) -> str:
    return f"<!-- begin {name}: written by benchmarks -->"


def _end(name: str) -> str:
    return f"<!-- end {name} -->"


def _row(cells: Sequence[str], width: int = 0) -> str:
    padded = [*cells, *[""] * (width - len(cells))]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in padded) + " |"


def _by_title(reports: Iterable[list[dict[str, Any]]]) -> Any:
    """Sections of one title together, in the order in which titles first appear."""
    order: dict[str, int] = {}
    for section in chain.from_iterable(reports):
        order.setdefault(section["title"], len(order))
    return lambda section: order[section["title"]]


def _line(measured: dict[str, Any]) -> Sequence[str]:
    ratio, bar = measured["ratio"], measured["bar"]
    return (
        f"    {measured['name']}",
        "1" if ratio is None else f"{ratio:.2f}",
        "" if ratio is None else f"{measured['low']:.2f}..{measured['high']:.2f}",
        f"{measured['time']:,.1f}",
        "" if bar is None else f"<= {bar:g} {'met' if ratio <= bar else 'MISSED'}",
    )
