"""What a queryset puts on its instances besides their values: Django 6.1's fetch mode."""

from __future__ import annotations

import weakref
from typing import Any

from django.db.models import QuerySet


def adopt(queryset: QuerySet[Any], instances: list[Any]) -> list[Any]:
    """Give instances the queryset's fetch mode, where Django has such a thing."""
    mode = getattr(queryset, "_fetch_mode", None)
    if mode is None or not instances:
        return instances
    if mode is getattr(instances[0]._state, "fetch_mode", mode):
        return instances
    peers: list[weakref.ref[Any]] = []
    for instance in instances:
        instance._state.fetch_mode = mode
        if mode.track_peers:
            peers.append(weakref.ref(instance))
            instance._state.peers = peers
    return instances
