"""What the library writes to its log can be read by machines: every record names its event."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_cachepatterns
from django_cachepatterns.log_events import EVENTS, MOST, Seldom, event

ROOT = Path(django_cachepatterns.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
RESERVED = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def logged(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that write to a log."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
        if node.func.attr in LEVELS and name in ("logger", "logging", "LOGGER", "log"):
            yield node


def modules() -> list[Path]:
    found = [path for path in ROOT.rglob("*.py") if path.name != "log_events.py"]
    return [path for path in found if "logging" in path.read_text()]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_record_names_its_event(path: Path) -> None:
    tree = ast.parse(path.read_text())
    given = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in logged(tree):
        extra = next((each.value for each in call.keywords if each.arg == "extra"), None)
        if isinstance(extra, ast.Name):
            extra = given.get(extra.id)
        assert extra is not None, f"line {call.lineno}: extra=event(...) is missing"
        assert [*calls(extra, "event")] == [extra], f"line {call.lineno}: extra is no event(...)"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_events_are_known_and_their_fields_may_be_of_a_record(path: Path) -> None:
    for call in calls(ast.parse(path.read_text()), "event"):
        (name,) = call.args
        assert isinstance(name, ast.Constant)
        assert name.value in EVENTS, f"line {call.lineno}"
        fields = {each.arg for each in call.keywords}
        assert not fields & RESERVED, f"line {call.lineno}: logging refuses these"


def test_every_event_is_used() -> None:
    used = {
        call.args[0].value
        for path in modules()
        for call in calls(ast.parse(path.read_text()), "event")
        if isinstance(call.args[0], ast.Constant)
    }
    assert set(EVENTS) == used


def test_every_event_and_field_is_documented() -> None:
    text = (ROOT.parent / "docs" / "how-to" / "logging.md").read_text()
    rows = {
        line.split("|")[1].strip().strip("`"): line
        for line in text.splitlines()
        if line.startswith("| `")
    }
    assert set(EVENTS) == set(rows)
    for path in modules():
        for call in calls(ast.parse(path.read_text()), "event"):
            assert isinstance(call.args[0], ast.Constant)
            for field in call.keywords:
                assert f"`{field.arg}`" in rows[call.args[0].value], (path, call.lineno)


def test_the_fields_are_on_the_record(caplog: pytest.LogCaptureFixture) -> None:
    extra = event("lost_mark", count=2, keys=["a", "b"])
    logging.getLogger("django_cachepatterns").warning("gone", extra=extra)
    (record,) = caplog.records
    assert (record.event, record.count, record.keys) == ("lost_mark", 2, ["a", "b"])  # type: ignore[attr-defined]


class Clock:
    """A clock that a test turns."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_comes_again_and_again_is_said_once_in_a_while() -> None:
    clock = Clock()
    seldom = Seldom(10, clock)
    assert seldom(logging.ERROR, "e", "x") == (logging.ERROR, 0)
    assert seldom(logging.ERROR, "e", "x") == (logging.DEBUG, 1)
    assert seldom(logging.ERROR, "e", "x") == (logging.DEBUG, 2)
    clock.sleep(10)
    assert seldom(logging.ERROR, "e", "x") == (logging.ERROR, 2)
    assert seldom(logging.ERROR, "e", "x") == (logging.DEBUG, 1)


def test_what_is_said_of_one_does_not_silence_another() -> None:
    seldom = Seldom(10, Clock())
    assert seldom(logging.ERROR, "e", "x")[0] == logging.ERROR
    assert seldom(logging.ERROR, "e", "y")[0] == logging.ERROR
    assert seldom(logging.ERROR, "f", "x")[0] == logging.ERROR


def test_subjects_without_end_do_not_grow_the_memory_without_end() -> None:
    seldom = Seldom(10, Clock())
    for number in range(MOST * 3):
        seldom(logging.ERROR, "e", str(number))
    assert len(seldom._said) <= MOST
