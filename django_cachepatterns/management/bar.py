"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import shutil
from time import monotonic
from typing import TextIO

EVERY = 0.1
"""Seconds between pictures."""
WIDTH = 24


class Bar:
    """One line that is drawn again and again.

    Args:
        stream: where; nothing is drawn where that is no terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_shown = stream.isatty()
        self._began, self._from = monotonic(), 0
        self._name, self._drawn_at = "", 0.0

    def show(self, name: str, done: int, expected: int | None) -> None:
        """Draw how far something has come."""
        now = monotonic()
        if name != self._name:
            self.clear()
            self._name, self._began, self._from = name, now, done
        elif now - self._drawn_at < EVERY and done != expected:
            return
        if self.is_shown:
            self._drawn_at = now
            columns = shutil.get_terminal_size().columns
            text = self._text(done, expected, now - self._began)
            self._stream.write("\r" + text[: columns - 1].ljust(columns - 1))
            self._stream.flush()

    def clear(self) -> None:
        """Take it away."""
        if self.is_shown and self._drawn_at:
            self._stream.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._stream.flush()
            self._drawn_at = 0.0

    def _text(self, done: int, expected: int | None, seconds: float) -> str:
        rate = (done - self._from) / seconds if seconds > 0 else 0.0
        pace = f"{rate:,.0f} rows/s" if rate else ""
        if not expected:
            return f"{self._name}: {done:,}  {pace}"
        share = min(1.0, done / expected)
        filled = "#" * int(share * WIDTH)
        left = f", {(expected - done) / rate:,.0f} s left" if rate and done < expected else ""
        return (
            f"{self._name} [{filled.ljust(WIDTH, '.')}] {share:4.0%}  {done:,} of {expected:,}"
            f"  {pace}{left}"
        )
