"""The settings, read live: one dict, `CACHEPATTERNS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .exceptions import PolicyError
from .keys import KeySpace, MetricsKeys
from .policy import CachePolicy, merged

if TYPE_CHECKING:
    from django.db.models import Model

DEFAULTS: dict[str, Any] = {
    "CACHE": "default",
    "BUFFER_CACHE": "default",
    "KEY_PREFIX": "cp",
    "TENANT": None,
    # How the project's own code is told of a tenant that work elsewhere is done for.
    "AS_TENANT": None,
    "ENABLED": True,
    "POLICIES": {},
    # Seconds. A page should fall back to the database well before a person notices.
    "TIMEOUT": 0.25,
    # Seconds until the mark of a transaction that crashed lapses.
    "MARK_TTL": 60,
    # Seconds for which a batch is known to have been applied: longer than the age of any snapshot
    # of the buffer server that may be restored.
    "LEDGER_KEEP": 7 * 24 * 3600,
    # Whether a process that has counted flushes its buffers at its end.
    "DRAIN_AT_EXIT": True,
    # Whether reads are timed, and figures sent to the server.
    "METRICS": True,
    # Seconds between two times that a process sends its figures.
    "METRICS_FLUSH_EVERY": 5.0,
}


_MEMO_LIMIT = 10_000
"""Tenants come from requests; what is kept for each must not grow without end."""


class Config:
    """One reading of the settings. `memo` is where upper layers keep what follows from it."""

    __slots__ = ("_seen", "_space", "as_tenant", "caches", "memo", "raw", "tenant", "values")

    def __init__(self, raw: Mapping[str, Any], caches: Any) -> None:
        if not isinstance(raw, Mapping):
            raise ImproperlyConfigured(
                f"CACHEPATTERNS is {raw!r}, which is no dict. Use a dict, or leave it out."
            )
        self.raw = raw
        self.caches = caches
        self._seen = dict(raw)
        self.values = {**DEFAULTS, **raw}
        self.memo: dict[Any, Any] = {}
        self.tenant: Callable[[], str | None] | None = _callable(
            "TENANT", self.values["TENANT"], "a callable that returns the tenant's name"
        )
        self.as_tenant: Callable[[str | None], Any] | None = _callable(
            "AS_TENANT",
            self.values["AS_TENANT"],
            "a function that takes a tenant's name and gives a context manager",
        )
        self._space = KeySpace(self.values["KEY_PREFIX"])

    def is_current(self, raw: Any, caches: Any) -> bool:
        """Whether the settings still say what they said (a dict changed in place counts)."""
        return raw is self.raw and caches is self.caches and raw == self._seen

    def remember(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for a key before, or is made now; as long as the settings hold."""
        try:
            return self.memo[key]
        except KeyError:
            if len(self.memo) > _MEMO_LIMIT:
                self.memo.clear()
            made = self.memo[key] = make()
            return made

    @property
    def enabled(self) -> bool:
        """Whether reads may be served from the cache."""
        return bool(self.values["ENABLED"])

    @property
    def measures(self) -> bool:
        """Whether reads are timed, and figures sent to the server."""
        return bool(self.values["METRICS"])

    @property
    def timeout(self) -> float:
        """Seconds that one command may take."""
        return float(self.values["TIMEOUT"])

    @property
    def mark_ttl(self) -> int:
        """Milliseconds until the mark of a crashed transaction lapses."""
        return int(self.values["MARK_TTL"] * 1000)

    def key_space(self) -> KeySpace:
        """The key space of the current tenant."""
        if self.tenant is None:
            return self._space
        return KeySpace(self.values["KEY_PREFIX"], self.current_tenant())

    def metrics_keys(self) -> MetricsKeys:
        """The keys of the figures that processes send."""
        return MetricsKeys(self.values["KEY_PREFIX"])

    def tenants_key(self) -> bytes:
        """The key of the set of tenants that have counted anything."""
        return f"{self.values['KEY_PREFIX']}:buffer:tenants".encode()

    def current_tenant(self) -> str | None:
        """The tenant that keys are of now; `None` where there is none."""
        given: str | _Unset | None = _tenant.get()
        if not isinstance(given, _Unset):
            return given
        return self.tenant() if self.tenant is not None else None


class _Unset:
    """No tenant was given: the setting's callable is asked."""


_UNSET = _Unset()
_tenant: ContextVar[str | _Unset | None] = ContextVar("tenant", default=_UNSET)


@contextmanager
def as_tenant(tenant: str | None) -> Iterator[None]:
    """Keys are of a tenant for the length of a block: work that was begun elsewhere, for it.

    So is whatever the setting AS_TENANT enters: a database, a schema. Raises `PolicyError` where
    that cannot be entered.
    """
    with ExitStack() as stack:
        stack.callback(_tenant.reset, _tenant.set(tenant))
        current = config()
        if current.tenant is not None and current.as_tenant is not None:
            try:
                stack.enter_context(current.as_tenant(tenant))
            except Exception as error:  # It is the project's own code.
                raise PolicyError(
                    f"CACHEPATTERNS['AS_TENANT'] has no place for tenant {tenant!r}: "
                    f"{type(error).__name__}: {error}. If that tenant is gone, take it out of the "
                    f"set {current.tenants_key().decode()!r} on the server of BUFFER_CACHE."
                ) from error
        yield


_NOTHING: dict[str, Any] = {}


def config() -> Config:
    """The settings as they are now."""
    global _config
    raw = getattr(settings, "CACHEPATTERNS", _NOTHING)
    caches = settings.CACHES
    current = _config
    if not current.is_current(raw, caches):
        current = _config = Config(raw, caches)
    return current


def require_app() -> None:
    """Raises `ImproperlyConfigured` where the app is used, and not installed."""
    if not apps.is_installed("django_cachepatterns"):
        raise ImproperlyConfigured(
            "django_cachepatterns is imported, but not installed. Add 'django_cachepatterns' to "
            "INSTALLED_APPS."
        )


def policy_of(model: type[Model]) -> CachePolicy:
    """The policy of a model: its class's, with the settings' laid over it.

    Raises `PolicyError` where it is wrong, with the fault and the remedy.
    """
    current = config()
    memo_key = ("policy", model)
    policy: CachePolicy | None = current.memo.get(memo_key)
    if policy is None:
        policy = unchecked_policy_of(model)
        for problem in policy.problems():
            raise PolicyError(f"{model._meta.label}: {problem.message} {problem.hint}")
        current.memo[memo_key] = policy
    return policy


def unchecked_policy_of(model: type[Model]) -> CachePolicy:
    """The same, wrong or not: what the system checks look at."""
    # A proxy has its model's policy: writes through either must know the same lookups.
    meta = (model._meta.concrete_model or model)._meta
    policy = getattr(meta.model, "cache_policy", None)
    if not isinstance(policy, CachePolicy):
        policy = _default_policies.get(meta.label_lower, CachePolicy())
    by_lower = named_policies()
    names = ("*", f"{meta.app_label}.*".lower(), meta.label_lower)
    return merged(policy, [by_lower[name] for name in names if name in by_lower])


def named_policies() -> dict[str, dict[str, Any]]:
    """POLICIES as the settings have it, by names in lower case; what is no dict is left out."""
    raw = getattr(settings, "CACHEPATTERNS", _NOTHING)
    policies = raw.get("POLICIES") if isinstance(raw, Mapping) else None
    return {
        str(name).lower(): {str(key): value for key, value in changes.items()}
        for name, changes in (policies.items() if isinstance(policies, Mapping) else ())
        if isinstance(changes, Mapping)
    }


def set_default_policies(policies: Mapping[str, CachePolicy]) -> None:
    """The policies of models that say none of their own, by label in lower case.

    For models that cannot be edited. What the settings say is laid over these, too.
    """
    global _config, _default_policies
    if policies != _default_policies:
        _default_policies = dict(policies)
        _config = Config(_NOTHING, None)  # What followed from the others is forgotten.


def _callable(name: str, path: Any, kind: str) -> Any:
    """What a setting's dotted path leads to; `kind` says what that has to be."""
    if path is None or callable(path):
        return path
    try:
        found = import_string(path)
        if not callable(found):
            raise TypeError(f"it is a {type(found).__name__}, which cannot be called")
    except (ImportError, TypeError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"CACHEPATTERNS[{name!r}] is {path!r}, which cannot be imported ({error}). "
            f"Give the dotted path of {kind}."
        ) from error
    return found


_config = Config(_NOTHING, None)
_default_policies: dict[str, CachePolicy] = {}
