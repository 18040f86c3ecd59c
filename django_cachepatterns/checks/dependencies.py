"""What is wrong with what functions and values depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from ..values import dependency_problems
from .errors import with_settings


@register(Tags.caches)
@with_settings
def check_dependencies(**kwargs: Any) -> Iterator[CheckMessage]:
    """The models that functions and values depend on, as far as their modules are imported."""
    for problem in dependency_problems():
        yield Error(problem, id="cachepatterns.E036")
