"""Refreshes that were asked for by another process: what a recipe stands for."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from .cache_aside import refresh_stale as refresh_function
from .exceptions import CachePatternsError
from .orm.rows import rows_of
from .read_through import refresh_stale as refresh_value
from .stampede import revalidate


def refresh_by_recipe(recipe: dict[str, Any]) -> bool:
    """Refresh a value if it is still stale; returns whether it was.

    Args:
        recipe: what `Source.recipe` gave where it was found stale.

    Raises `CachePatternsError` for a recipe of another version of the library.
    """
    kind = recipe.get("kind")
    if kind == "row":
        return _refresh_row(recipe)
    if kind == "function":
        return refresh_function(recipe)
    if kind == "value":
        return refresh_value(recipe)
    raise CachePatternsError(
        f"Nobody knows how to refresh {kind!r}. Let workers and web processes run the same version."
    )


def _refresh_row(recipe: dict[str, Any]) -> bool:
    model = apps.get_model(recipe["model"])
    rows = rows_of(model)
    if rows is None:
        return False
    return revalidate.now(rows.reader, rows.key_of(rows.pk.to_python(recipe["pk"])))
