"""Changes of scores: put together, they do what they do one after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_cachepatterns.write_behind.boards.scores import (
    Arithmetic,
    Change,
    adding,
    setting,
    submitting,
    text_of,
)

NUMBERS = st.integers(-50, 50)
SCORES = st.none() | NUMBERS
CHANGES = st.one_of(
    NUMBERS.map(adding),
    NUMBERS.map(submitting),
    SCORES.map(setting),
    st.builds(Change, *[NUMBERS] * 3),
)


@given(st.lists(CHANGES, min_size=1, max_size=8), SCORES, st.booleans(), SCORES)
def test_changes_together_do_what_they_do_in_turn(
    changes: list[Change], score: int | None, descending: bool, removed: int | None
) -> None:
    arithmetic = Arithmetic(descending, removed)
    in_turn, (together, *rest) = score, changes
    for change in changes:
        in_turn = arithmetic.changed(change, in_turn)
    for change in rest:
        together = arithmetic.together(together, change)
    assert arithmetic.changed(together, score) == in_turn


@given(CHANGES)
def test_a_change_is_read_back_from_its_text(change: Change) -> None:
    assert Arithmetic(True, None).parse(text_of(change)) == change


@given(st.lists(st.tuples(st.sampled_from("+^"), NUMBERS), min_size=1), SCORES, st.booleans())
def test_increments_and_submits(
    steps: list[tuple[str, int]], score: int | None, descending: bool
) -> None:
    arithmetic = Arithmetic(descending, None)
    best = max if descending else min
    expected, change = score, Change(0, None, None)
    for what, number in steps:
        if what == "+":
            expected = (expected or 0) + number
            change = arithmetic.together(change, adding(number))
        else:
            expected = number if expected is None else best(expected, number)
            change = arithmetic.together(change, submitting(number))
    assert arithmetic.changed(change, score) == expected


def test_what_a_removed_row_has() -> None:
    assert Arithmetic(True, 5).parse("=") == setting(5)
    assert Arithmetic(True, None).parse("=") == setting(None)


@pytest.mark.parametrize("text", [b"", b"x", b"1:2", b"1:x:3", b"=x"])
def test_what_cannot_be_read_changes_nothing(text: bytes) -> None:
    assert Arithmetic(True, None).after(text, 7) == 7
    assert Arithmetic(True, None).after(None, 7) == 7
