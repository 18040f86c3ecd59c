"""What is optional is imported only where it is asked for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import django_cachepatterns

ROOT = Path(django_cachepatterns.__file__).parent
OPTIONAL = {
    "celery": "tasks",
    "debug_toolbar": "contrib/debug_toolbar",
    "health_check": "contrib/health_check.py",
    "opentelemetry": "contrib/opentelemetry",
    "prometheus_client": "contrib/prometheus",
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize(("package", "place"), OPTIONAL.items())
def test_an_optional_package_is_imported_in_its_place_alone(package: str, place: str) -> None:
    users = {path for path in ROOT.rglob("*.py") if package in imported(path)}
    assert users
    own = ROOT / place
    assert not {path for path in users if path != own and own not in path.parents}
