"""What a diagnosis finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and something may go wrong or is left out."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: how bad it is.
        about: what was looked at, such as `cache server`.
        text: what was found.
        remedy: what to do; empty where nothing has to be done.
        check: the id of the system check that says it, if one does.
    """

    level: Level
    about: str
    text: str
    remedy: str = ""
    check: str = ""

    def as_json(self) -> dict[str, str]:
        """The same for a JSON document."""
        return {
            "level": self.level.value,
            "about": self.about,
            "text": self.text,
            "remedy": self.remedy,
            "check": self.check,
        }


def fine(about: str, text: str) -> Finding:
    """Nothing has to be done."""
    return Finding(Level.FINE, about, text)


def warning(about: str, text: str, remedy: str) -> Finding:
    """Something may go wrong."""
    return Finding(Level.WARNING, about, text, remedy)


def wrong(about: str, text: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(Level.WRONG, about, text, remedy)


def counted(number: int, thing: str) -> str:
    """A number of things, in words: `1 model`, `2 models`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
