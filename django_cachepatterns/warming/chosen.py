"""Which rows can be warmed, and why others cannot."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import Model, QuerySet

from .. import conf, fields
from ..exceptions import PolicyError
from ..invalidation import registry
from ..orm.columns import compares_exactly
from ..orm.rows import CachedRows, rows_of
from ..stores import store_of

Target = type[Model] | QuerySet[Any]


class Unwarmable(PolicyError):
    """Rows of a model cannot be warmed; the message says why, and what to do."""


class Chosen(NamedTuple):
    """Rows that are to be warmed: of a model, or those of a queryset."""

    rows: CachedRows
    queryset: QuerySet[Any] | None

    @property
    def label(self) -> str:
        """The label of the model."""
        return self.rows.model._meta.label


def every_model() -> list[type[Model]]:
    """The models whose managers read through the cache, and whose policies let them."""
    # Those that a test has made under `isolate_apps` are no models of the project's.
    cached = [model for model in registry.cached_models() if model._meta.apps is apps]
    found = [model for model in cached if conf.policy_of(model).pattern != "cache_aside"]
    return sorted(found, key=lambda model: model._meta.label)


def choose_all(hot: bool = False) -> tuple[list[Chosen], dict[str, str]]:
    """All rows that can be warmed, and why others of models that read through cannot."""
    chosen, skipped = [], {}
    for model in every_model():
        try:
            chosen.append(choose(model, hot))
        except Unwarmable as error:
            skipped[model._meta.label] = str(error)
    return chosen, skipped


def choose(target: Target, hot: bool = False) -> Chosen:
    """The rows of a model or queryset.

    Args:
        hot: whether its keys are known to be asked for, which `admit_after` wants.

    Raises `Unwarmable`.
    """
    queryset = target if isinstance(target, QuerySet) else None
    model: type[Model] = target.model if isinstance(target, QuerySet) else target
    concrete: Any = model._meta.concrete_model or model
    rows = rows_of(concrete) if registry.is_tracked(concrete) else None
    if rows is None:
        raise Unwarmable(f"{model._meta.label} cannot be warmed: {_why(concrete)}")
    if rows.policy.admit_after > 1 and not hot:
        raise Unwarmable(
            f"{model._meta.label} cannot be warmed as a whole: its policy has "
            f"admit_after={rows.policy.admit_after}, which keeps out what nobody has asked for. "
            "Warm what readers ask for with --hot (hot=True), or leave admit_after out."
        )
    return Chosen(rows, queryset)


def _why(model: type[Model]) -> str:
    """Why reads of a model go past the cache, and what to do."""
    config, label = conf.config(), model._meta.label
    if not config.enabled:
        return "CACHEPATTERNS['ENABLED'] is False. Set it to True first."
    if not registry.is_tracked(model):
        return (
            "nothing of it is cached. Derive it from CachedModel, or name it in "
            f"CACHEPATTERNS['POLICIES']: {{{label!r}: {{}}}}."
        )
    if conf.policy_of(model).pattern == "cache_aside":
        return (
            "its policy has pattern='cache_aside', so that nothing reads its rows from the cache. "
            "Use 'read_through', or call the cached functions that use it."
        )
    store_of(config)  # Says what is wrong with it.
    pk = fields.primary_key(model)
    if not fields.is_cacheable(model) or not compares_exactly(pk, connections["default"]):
        return "its primary key cannot be the key of an entry (see the reference of reads)."
    return "the rows that Django selects are not those that the model says it has."
