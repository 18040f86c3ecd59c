"""Counts of threads, whenever it is noticed that one has ended."""

from __future__ import annotations

import threading

from django_cachepatterns import metrics
from django_cachepatterns.metrics import counting


def test_the_end_of_a_thread_may_be_noticed_while_counts_are_added_up() -> None:
    """By whoever adds up, or by another thread that must not wait for it."""
    noticed: list[str] = []

    def add_up() -> None:
        with counting._lock:
            counting._over.append(-1)
            noticing = threading.Thread(target=metrics.count, args=("noticed", "hit"))
            noticing.start()
            noticing.join()
        metrics.by_family()
        noticed.append("finished")

    thread = threading.Thread(target=add_up, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert noticed == ["finished"]


def test_the_counts_of_a_thread_outlive_it() -> None:
    before = metrics.by_family().get("outlived", {}).get("hit", 0)
    thread = threading.Thread(target=metrics.count, args=("outlived", "hit", 3))
    thread.start()
    thread.join()
    assert metrics.by_family()["outlived"]["hit"] == before + 3
