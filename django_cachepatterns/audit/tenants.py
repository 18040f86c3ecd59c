"""Being the tenant whose entries are audited: its keys, and its place in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .. import conf, keys
from ..exceptions import CachePatternsError, PolicyError, StoreUnavailable
from ..stores import buffers_of


class UnknownTenant(CachePatternsError):
    """A key is of a tenant that cannot be found: its name is a hash, or it is gone."""


class Tenants:
    """The tenants by what keys have of their names."""

    def __init__(self) -> None:
        config = conf.config()
        self._names: dict[str, str] = {}
        if config.tenant is None:
            return
        known = [config.current_tenant()]
        try:
            found = buffers_of(config).members_of(config.tenants_key())
            known += [tenant.decode() for tenant in found]
        except (StoreUnavailable, PolicyError):
            pass  # Then those with plain names are known.
        self._names = {keys.part(str(each)): str(each) for each in known if each is not None}

    @contextmanager
    def entered(self, part: str | None, root: str) -> Iterator[None]:
        """Be the tenant of a key for the length of a block. Raises `UnknownTenant`.

        Args:
            part: its name as keys have it.
            root: what those begin with.
        """
        config = conf.config()
        if config.tenant is None and part is not None:
            raise UnknownTenant(f"{root} is of a tenant, but CACHEPATTERNS['TENANT'] is not set.")
        name = None if part is None else self._names.get(part, part)
        with ExitStack() as stack:
            try:
                stack.enter_context(conf.as_tenant(name))
            except PolicyError as error:
                raise UnknownTenant(str(error)) from error
            if conf.config().key_space().root != root:
                raise UnknownTenant(f"{root} is of a tenant whose name is not known here.")
            yield
