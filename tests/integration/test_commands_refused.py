"""With `--json` there is one JSON document, whatever has stopped the command."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_cachepatterns.management.reporting import ReportingCommand
from tests.processes import run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

CHECKED = (
    "audit_cache",
    "cache_stats",
    "flush_cache --all --yes",
    "flush_write_behind",
    "prune_ledger",
    "retry_dead_letters",
    "warm_cache",
)
WRONG = {**settings.CACHEPATTERNS, "NONSENSE": 1}


class Broken(ReportingCommand):
    """Fails in a way that nobody foresaw."""

    requires_system_checks = ()

    def run(self, *args: Any, **options: Any) -> Any:
        raise LookupError("nobody foresaw it")


@pytest.mark.parametrize("command", CHECKED)
@override_settings(CACHEPATTERNS=WRONG)
def test_a_command_that_system_checks_stop(command: str) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match="NONSENSE") as raised:
        call_command(*command.split(), "--json", "--force-color", stdout=out, skip_checks=False)
    document = json.loads(out.getvalue())
    assert set(document) == {"error"}
    assert "NONSENSE" in document["error"]
    assert "\x1b" not in document["error"]
    # An audit exits with 1 where an entry is wrong.
    assert raised.value.returncode == (3 if command == "audit_cache" else 1)


def test_a_command_line_that_system_checks_stop(tmp_path: Any) -> None:
    """All of it: what is on which stream, and the exit code."""
    (tmp_path / "unchecked.py").write_text(
        "from tests.processes.settings import *\nCACHEPATTERNS = {**CACHEPATTERNS, 'NONSENSE': 1}\n"
    )
    ended = run(
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'cache_stats', '--json'])",
        DJANGO_SETTINGS_MODULE="unchecked",
    )
    assert (ended.returncode, list(json.loads(ended.stdout))) == (1, ["error"])
    assert "SystemCheckError" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_nobody_foresaw_is_in_the_document_and_raised() -> None:
    out = StringIO()
    with pytest.raises(LookupError):
        call_command(Broken(), "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"error": "LookupError: nobody foresaw it"}
