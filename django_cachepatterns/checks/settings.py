"""What is wrong with the `CACHEPATTERNS` setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from .. import conf
from ..exceptions import PolicyError
from ..stores import store_of
from .errors import UNREADABLE


@register(Tags.caches)
def check_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """The `CACHEPATTERNS` setting by itself."""
    try:
        config = conf.config()
    except UNREADABLE as error:
        yield Error(f"{error}", id="cachepatterns.E020")
        return
    for name in sorted(set(config.raw) - set(conf.DEFAULTS), key=str):
        yield Error(
            f"CACHEPATTERNS has an unknown key {name!r}.",
            hint=f"Use one of: {', '.join(conf.DEFAULTS)}.",
            id="cachepatterns.E021",
        )
    for name in ("TIMEOUT", "MARK_TTL", "METRICS_FLUSH_EVERY"):
        value = config.values[name]
        if not _is_seconds(value) and not (name == "METRICS_FLUSH_EVERY" and value == 0):
            yield Error(
                f"CACHEPATTERNS[{name!r}] is {value!r}; it must be a positive number of seconds.",
                hint=f"Leave it out to get {conf.DEFAULTS[name]}.",
                id="cachepatterns.E022",
            )
    prefix = config.values["KEY_PREFIX"]
    if not isinstance(prefix, str) or not prefix:
        yield Error(
            f"CACHEPATTERNS['KEY_PREFIX'] is {prefix!r}; it must be a text of its own.",
            hint="Leave it out to get 'cp'.",
            id="cachepatterns.E023",
        )
    if not isinstance(config.values["ENABLED"], bool):
        yield Error(
            f"CACHEPATTERNS['ENABLED'] is {config.values['ENABLED']!r}; it must be True or False.",
            hint="Leave it out to have reads served from the cache.",
            id="cachepatterns.E029",
        )
    if not isinstance(config.values["METRICS"], bool):
        yield Error(
            f"CACHEPATTERNS['METRICS'] is {config.values['METRICS']!r}; it must be True or False.",
            hint="Leave it out to have reads timed and figures sent to the cache server.",
            id="cachepatterns.E028",
        )
    yield from _write_behind_problems(config)
    yield from _store_problems(config)
    yield from _policies_problems(config)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and value is not True and 0.001 <= value < 1e9


def _write_behind_problems(config: conf.Config) -> Iterator[CheckMessage]:
    keep = config.values["LEDGER_KEEP"]
    if not _is_seconds(keep):
        yield Error(
            f"CACHEPATTERNS['LEDGER_KEEP'] is {keep!r}; it must be a positive number of seconds, "
            "longer than the age of any snapshot of the buffer server that may be restored.",
            hint=f"Leave it out to get {conf.DEFAULTS['LEDGER_KEEP']}, which is a week.",
            id="cachepatterns.E026",
        )
    drain = config.values["DRAIN_AT_EXIT"]
    if not isinstance(drain, bool):
        yield Error(
            f"CACHEPATTERNS['DRAIN_AT_EXIT'] is {drain!r}; it must be True or False.",
            hint="Leave it out to have processes flush what they have counted when they end.",
            id="cachepatterns.E027",
        )


def _store_problems(config: conf.Config) -> Iterator[CheckMessage]:
    try:
        store_of(config)
    except PolicyError as error:
        yield Error(f"{error}", id="cachepatterns.E024")
    except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        yield Error(
            f"Cache {config.values['CACHE']!r} cannot be used: {error}",
            hint="Look at its entry in CACHES.",
            id="cachepatterns.E024",
        )


def _policies_problems(config: conf.Config) -> Iterator[CheckMessage]:
    policies = config.values["POLICIES"]
    if not isinstance(policies, dict) or not all(
        isinstance(each, dict) for each in policies.values()
    ):
        yield Error(
            f"CACHEPATTERNS['POLICIES'] is {policies!r}, which is no dict of dicts.",
            hint="Use {'app_label.Model': {'ttl': 60}}.",
            id="cachepatterns.E025",
        )
        return
    known = {"*"}
    for app in apps.get_app_configs():
        known.add(f"{app.label}.*".lower())
        known.update(model._meta.label_lower for model in app.get_models())
    for name in config.values["POLICIES"]:
        if str(name).lower() not in known:
            yield Error(
                f"CACHEPATTERNS['POLICIES'] names {name!r}, which is no model.",
                hint="Use 'app_label.Model', 'app_label.*' or '*'.",
                id="cachepatterns.E025",
            )
