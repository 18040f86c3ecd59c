"""The whole diagnosis, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import ERROR, run_checks

from .. import conf
from .databases import databases
from .figures import figures
from .finding import Finding, Level
from .models import models
from .servers import server
from .trial import trial
from .write_behind import write_behind


def diagnose() -> list[Finding]:
    """Look at everything. Never raises for what is wrong: that is what it says.

    It takes a second or so, and more where servers are away.
    """
    found = list(_checks())
    if any(each.level is Level.WRONG for each in found):
        return found  # What the others said could not be believed.
    found += models()
    found += server("CACHE")
    found += trial()
    if _has_other_buffer_server():
        found += server("BUFFER_CACHE")
    found += write_behind()
    found += databases()
    found += figures()
    return found


def _checks() -> Iterator[Finding]:
    """What the library's own system checks say. Those that are silenced are not heard."""
    said = [each for each in run_checks() if (each.id or "").startswith("cachepatterns.")]
    heard = [each for each in said if not each.is_silenced()]
    for each in heard:
        level = Level.WRONG if each.level >= ERROR else Level.WARNING
        yield Finding(level, _about(each.obj), str(each.msg), str(each.hint or ""), str(each.id))
    if not heard:
        yield Finding(Level.FINE, "settings", "The system checks have nothing to say.")


def _about(thing: Any) -> str:
    """What a check is about, in a word."""
    meta = getattr(thing, "_meta", None)
    return "settings" if thing is None else meta.label if meta is not None else str(thing)


def _has_other_buffer_server() -> bool:
    values = conf.config().values
    return bool(values["BUFFER_CACHE"] != values["CACHE"])
