"""What is cached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .. import conf
from ..cache_aside import cached_functions
from ..exceptions import PolicyError
from ..invalidation import registry
from ..read_through import named_values
from ..warming.chosen import Unwarmable, choose
from .finding import Finding, counted, fine, warning

ABOUT = "what is cached"


def models() -> Iterator[Finding]:
    """Which models, functions and values are cached, and which models are not read through."""
    config = conf.config()
    if not config.enabled:
        yield warning(
            ABOUT,
            "CACHEPATTERNS['ENABLED'] is False: every read goes to the database.",
            "Set it to True, or leave it out.",
        )
        return
    cached = registry.cached_models()
    if not (cached or named_values() or cached_functions()):
        yield warning(
            ABOUT,
            "Nothing is cached: there is no CachedModel, cached function or named value.",
            "Derive a model from django_cachepatterns.models.CachedModel.",
        )
        return
    patterns = Counter(conf.policy_of(model).pattern for model in cached)
    parts = [f"{counted(number, 'model')} {name}" for name, number in sorted(patterns.items())]
    parts += [counted(len(named_values()), "named value")]
    parts += [counted(len(cached_functions()), "function")]
    yield fine(ABOUT, f"{', '.join(parts)} (of modules that are imported).")
    for model in cached:
        yield from _unread(model)


def _unread(model: type) -> Iterator[Finding]:
    """Why a model's rows are not read through, though its policy says so."""
    if conf.policy_of(model).pattern == "cache_aside":
        return
    try:
        choose(model, hot=True)
    except Unwarmable as error:
        text = str(error).replace("cannot be warmed", "is not read through")
        yield warning(ABOUT, text, "See the reference of reads and writes.")
    except PolicyError:
        return  # The server's part says so.
