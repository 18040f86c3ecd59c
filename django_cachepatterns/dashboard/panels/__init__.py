"""What the pages are made of: sections that are shown where they have something to show.

A part of the library that comes later, or a project of its own, adds one:

    panels.register(Panel("breaker", "Circuit breaker", context=..., template="..."))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..glance import Glance

TEMPLATES = "admin/django_cachepatterns/dashboard/panels"
Context = Callable[[Glance], "dict[str, Any] | None"]


@dataclass(frozen=True)
class Panel:
    """One section.

    Args:
        name: a short name; part of addresses.
        title: its heading.
        context: gives what its template shows; `None`: nothing, so that it is not shown at all.
        page: `overview` or `policy`.
        template: its template; by default one of its name.
        later: whether it takes long, so that it is asked for after the page is there.
        wide: whether it takes the whole width.
        of_figures: whether it shows nothing but what was counted, which nobody knows while the
            cache server is away: a zero would be wrong.
    """

    name: str
    title: str
    context: Context
    page: str = "overview"
    template: str = ""
    later: bool = False
    wide: bool = False
    of_figures: bool = False

    @property
    def template_name(self) -> str:
        """The template that shows it."""
        return self.template or f"{TEMPLATES}/{self.name}.html"


_panels: dict[str, Panel] = {}


def register(panel: Panel) -> Panel:
    """Add a panel below those that there are; one of the same name is replaced."""
    _panels[panel.name] = panel
    return panel


def panels_of(page: str) -> list[Panel]:
    """The panels of a page, in the order in which they were registered."""
    _load()
    return [panel for panel in _panels.values() if panel.page == page]


def panel_named(name: str) -> Panel | None:
    """The panel of a name."""
    _load()
    return _panels.get(name)


def _load() -> None:
    from . import overview, policy  # noqa: F401 - they register theirs
