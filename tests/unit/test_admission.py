from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_cachepatterns import admission
from django_cachepatterns.admission import HALVED_AFTER, MOST, ROWS, WIDTH, Sketch


@pytest.mark.parametrize("times", [1, 2, 3, 50])
def test_a_key_that_is_alone_is_counted_exactly(times: int) -> None:
    sketch = Sketch()
    assert [sketch.ask(b"key") for _ in range(times)] == list(range(1, times + 1))


@given(st.lists(st.binary(max_size=2), max_size=300))
def test_no_count_is_below_the_truth(asked: list[bytes]) -> None:
    sketch, truth = Sketch(), Counter[bytes]()
    for key in asked:
        truth[key] += 1
        assert sketch.ask(key) >= truth[key]


def test_no_count_is_below_the_truth_in_a_crowd() -> None:
    chance, sketch, truth = random.Random(1), Sketch(), Counter[int]()
    for _ in range(HALVED_AFTER - 1):
        number = int(chance.paretovariate(0.5)) % 20_000
        truth[number] += 1
        assert sketch.ask(b"%d" % number) >= min(truth[number], MOST)


def test_keys_that_are_asked_for_once_are_rarely_taken_for_more() -> None:
    sketch = Sketch()
    taken = sum(sketch.ask(b"key %d" % number) > 1 for number in range(WIDTH // 2))
    assert taken < WIDTH // 2 / 50


def test_a_count_has_a_bound() -> None:
    sketch = Sketch()
    counts = [sketch.ask(b"key") for _ in range(3 * MOST)]
    assert max(counts) == MOST
    assert counts[-1] == MOST


def test_its_size_does_not_grow() -> None:
    sketch = Sketch()
    for number in range(HALVED_AFTER + 100):
        sketch.ask(b"%d" % number)
    assert [len(counts) for counts in sketch._counts] == [WIDTH] * ROWS


def test_all_counts_are_halved_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HALVED_AFTER", 100)
    sketch = Sketch()
    for _ in range(80):
        sketch.ask(b"famous")
    for _ in range(19):
        assert sketch.ask(b"rising") <= 20
    assert sketch.ask(b"rising") == 19 // 2 + 1
    assert sketch.ask(b"famous") == 80 // 2 + 1


def test_old_fame_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HALVED_AFTER", 100)
    sketch = Sketch()
    for _ in range(90):
        sketch.ask(b"famous")
    for number in range(800):
        sketch.ask(b"crowd %d" % number)
    assert sketch.ask(b"famous") <= 2


def test_a_count_is_told_without_counting() -> None:
    sketch = Sketch()
    assert sketch.count(b"key") == 0
    for _ in range(3):
        sketch.ask(b"key")
    assert [sketch.count(b"key"), sketch.count(b"key"), sketch.ask(b"key")] == [3, 3, 4]
