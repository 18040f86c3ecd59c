"""`manage.py flush_cache`: cached entries are dropped, and nothing else."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.apps import apps

from ... import conf, dropping
from ...dropping import EVERY_TENANT, Dropped, Tenant
from ..reporting import Failure, Report, ReportingCommand, usage


class Command(ReportingCommand):
    """Drops entries. Exits with 1 where the server does not answer or the answer was no."""

    help = (
        "Drops cached entries of models, functions or names, what depends on tags, or all. Never "
        "write-behind buffers, metrics, or the marks of open transactions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "names",
            nargs="*",
            metavar="name",
            help="app.Model, an app, a cached function's dotted name, a ReadThrough's name",
        )
        parser.add_argument(
            "--tag", action="append", default=[], metavar="TAG", help="a tag; may be repeated"
        )
        parser.add_argument("--all", action="store_true", help="every entry and every tag")
        parser.add_argument(
            "--tenant", metavar="TENANT", help="of one tenant; '' of none; default: of every tenant"
        )
        parser.add_argument(
            *("--yes", "--no-input", "--noinput"),
            action="store_false",
            dest="interactive",
            help="do not ask before --all",
        )

    def run(
        self,
        *args: Any,
        names: Sequence[str],
        tag: Sequence[str],
        all: bool,
        tenant: str | None,
        interactive: bool,
        **options: Any,
    ) -> Report:
        """Drop. Raises `CommandError`."""
        if not (names or tag or all):
            usage("Say what to drop: names such as shop.Product, --tag TAG, or --all.")
        if all and (names or tag):
            usage("--all is every entry: leave the names and tags out, or leave out --all.")
        if "" in tag:
            usage("--tag '' names no tag: is a variable empty? Write its name, or leave --tag out.")
        whose = _tenant(tenant)
        if all and interactive and not self._is_sure(whose):
            raise Failure("Nothing was dropped.", {"dropped": 0})
        if all:
            parts = [dropping.drop_all(whose)]
        else:
            targets = [each for name in names for each in _targets(name)]
            parts = [dropping.drop_entries(*targets, tenant=whose)]
            parts.append(dropping.drop_tags(*tag, tenant=whose))
        return self._told(parts, whose)

    def _told(self, parts: Sequence[Dropped], whose: Tenant) -> Report:
        families = {name: number for part in parts for name, number in part.by_family.items()}
        total = sum(families.values())
        for name, number in sorted(families.items()):
            self.tell(f"{name}: {number:,} dropped")
        if families:
            self.tell(f"Dropped {total:,} keys{_of(whose)}: entries, leases and tags.")
        else:
            self.tell(f"There was nothing to drop{_of(whose)}.")
        return {"dropped": total, "families": families, "tenant": _said(whose)}

    def _is_sure(self, whose: Tenant) -> bool:
        if not sys.stdin.isatty():
            return True
        prefix = conf.config().values["KEY_PREFIX"]
        self.stderr.write(
            f"This drops every cached entry{_of(whose)} with the prefix {prefix!r}. Readers load "
            "from the database until the cache is warm again. Go on? [y/N] ",
            ending="",
        )
        self.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _targets(name: str) -> list[str]:
    """What is meant by a name: itself, or the cached models of an app."""
    known = dropping.families()
    if name in known or name not in apps.app_configs:
        return [name]
    models = [model._meta.label for model in apps.get_app_config(name).get_models()]
    found = [label for label in models if label in known]
    if not found:
        usage(f"No model of the app {name!r} is cached. Cached are: {', '.join(known) or 'none'}.")
    return found


def _tenant(name: str | None) -> Tenant:
    if name is None:
        return EVERY_TENANT
    if conf.config().tenant is None:
        usage("There are no tenants: CACHEPATTERNS['TENANT'] is not set. Leave out --tenant.")
    return name or None


def _said(whose: Tenant) -> str | None:
    return "*" if isinstance(whose, dropping.EveryTenant) else whose


def _of(whose: Tenant) -> str:
    if conf.config().tenant is None:
        return ""
    if isinstance(whose, dropping.EveryTenant):
        return " of every tenant"
    return " of no tenant" if whose is None else f" of tenant {whose!r}"
