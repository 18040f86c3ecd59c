"""The reference of metrics, hooks and signals names what there is, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import django_cachepatterns
from django_cachepatterns import hooks, signals
from django_cachepatterns.metrics import OUTCOMES
from django_cachepatterns.metrics.measured import KINDS

REFERENCE = Path(django_cachepatterns.__file__).parent.parent / "docs" / "reference"
HOOKS = {name for name in vars(hooks) if re.match(r"(before|after|around)_", name)}
DETAILS = [
    each
    for each in vars(hooks).values()
    if dataclasses.is_dataclass(each) and isinstance(each, type)
]


def named(text: str) -> set[str]:
    """What the first cells of tables name."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_outcome_is_documented() -> None:
    text = (REFERENCE / "metrics.md").read_text()
    outcomes, times = text.split("## Outcomes")[1].split("## Times")
    assert named(outcomes) == set(OUTCOMES)
    assert named(times.split("## In Python")[0]) == set(KINDS)


def test_every_hook_is_documented() -> None:
    assert named((REFERENCE / "hooks.md").read_text()) == HOOKS


@pytest.mark.parametrize("details", DETAILS, ids=lambda each: each.__name__)
def test_what_hooks_are_told_is_documented(details: type) -> None:
    fields = ", ".join(field.name for field in dataclasses.fields(details))
    text = (REFERENCE / "hooks.md").read_text()
    assert f"`{details.__name__}({fields})`" in text
    assert f"\n`{details.__name__}`\n: " in text


def test_every_step_of_a_flush_is_documented() -> None:
    text = (REFERENCE / "hooks.md").read_text()
    assert all(f"`{step}`" in text for step in hooks.FLUSH_STEPS)


def test_every_signal_is_documented() -> None:
    found = {name for name, each in vars(signals).items() if isinstance(each, signals.HookSignal)}
    assert named((REFERENCE / "signals.md").read_text()) == found
