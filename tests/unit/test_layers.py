"""Imports point one way: from the edges to the vocabulary."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import django_cachepatterns

ROOT = Path(django_cachepatterns.__file__).parent
VOCABULARY = {"at_exit", "exceptions", "clock", "threads", "policy", "entry", "keys", "codecs"}
LAYERS = (
    VOCABULARY | {"arguments", "admission", "steps", "sources", "log_events"},
    {"conf", "fields", "stores"},
    {"metrics", "hooks", "signals"},
    {"stampede", "transactions"},
    {"reader"},
    {"invalidation"},
    {"values", "cache_aside", "read_through", "write_through", "write_behind", "fragments"},
    {"orm", "tracked", "querysets", "managers", "options", "permissions", "models"},
    {
        "tracking",
        "dashboard",
        "diagnosis",
        "dropping",
        "warming",
        "recipes",
        "inspection",
        "audit",
        "tasks",
        "apps",
        "admin",
        "management",
        "checks",
        "contrib",
        "monitoring",
        "templatetags",
        "testing",
        "migrations",
    },
)
LAYER_OF = {name: at for at, names in enumerate(LAYERS) for name in names}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
    if path != ROOT / "__init__.py"
}


def layer_of(name: str) -> int:
    """The number of a module's layer; the highest where it has none, which a test says."""
    return LAYER_OF.get(name.split(".")[0], len(LAYERS))


def imports_of(name: str) -> Iterator[str]:
    """The library's own modules that a module imports when it is imported itself."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            start = package[: len(package) - node.level + 1]
            module = ".".join([*start, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                below = f"{module}.{alias.name}".strip(".")
                yield below if below in MODULES else module


def test_every_module_has_its_layer() -> None:
    found = {name.split(".")[0] for name in MODULES}
    assert found == set(LAYER_OF), "Put new modules into LAYERS, and take out what is gone."


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_no_higher_layer(name: str) -> None:
    own = layer_of(name)
    for imported in imports_of(name):
        assert layer_of(imported) <= own, f"{name} imports {imported}"


def test_there_are_no_cycles() -> None:
    graph = {name: set(imports_of(name)) - {name} for name in MODULES}
    # A package's __init__ is run by whatever imports a module in it; its own imports count.
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", [n for n in MODULES if layer_of(n) == 0])
def test_the_vocabulary_knows_no_django(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("django.") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not (node.module or "").startswith("django")
