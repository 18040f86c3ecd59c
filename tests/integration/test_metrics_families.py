"""However many names there are, only so many families are counted, and nothing is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.template import Context, Template

from django_cachepatterns import conf, metrics
from django_cachepatterns.diagnosis.figures import figures as doctors_figures
from django_cachepatterns.diagnosis.finding import Level
from django_cachepatterns.metrics import families, flushing, history
from django_cachepatterns.metrics.families import OTHER
from django_cachepatterns.stores import figures_of
from tests.testapp.models import Shelf

MOST = 3
FRAGMENT = Template("{% load cachepatterns %}{% cached 60 name %}text{% endcached %}")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MOST", MOST)
    monkeypatch.setattr(families, "_fragments", set())
    monkeypatch.setattr(families, "_others", {OTHER})
    monkeypatch.setattr(families, "_said", set())


@pytest.fixture
def _nothing_was_sent(redis_client: Any) -> Iterator[None]:
    def forget() -> None:
        flushing.flush()
        for key in list(redis_client.scan_iter(f"{settings.KEY_PREFIX}:metrics:*")):
            redis_client.delete(key)

    forget()
    yield
    forget()


@pytest.mark.usefixtures("_nothing_was_sent")
def test_threads_that_count_many_names_at_once_lose_none(caplog: Any) -> None:
    before = metrics.by_family()
    names = [f"at once {at}" for at in range(50)]
    begin = threading.Barrier(4)

    def count() -> None:
        begin.wait()
        for name in names:
            metrics.count(name, "hit", 2)
            metrics.count(name, "hit")

    threads = [threading.Thread(target=count) for _ in range(4)]
    with caplog.at_level(logging.WARNING, "django_cachepatterns"):
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    after = metrics.by_family()
    grown = {
        name: number
        for name in after
        if (number := after[name].get("hit", 0) - before.get(name, {}).get("hit", 0))
    }
    assert sum(grown.values()) == 4 * 50 * 3
    assert len(grown) <= MOST + 4  # Four at once may each find one place left.
    assert grown[OTHER] > sum(grown.values()) / 2
    said = [each for each in caplog.records if getattr(each, "event", "") == "many_families"]
    assert 1 <= len(said) <= 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_nothing_was_sent")
def test_fragments_with_names_of_users_take_no_model_s_place(caplog: Any) -> None:
    for _ in range(2):
        for at in range(20):
            FRAGMENT.render(Context({"name": f"of user {at}"}))
    shelf = Shelf.objects.create(name="a")
    for _ in range(2):
        Shelf.objects.get(pk=shelf.pk)
    flushing.flush()
    found = history.totals("15m")
    assert {name for name in found if name.startswith("fragment")} == {
        f"fragment of user {at}" for at in range(MOST)
    }
    other = found[OTHER]
    assert (other.counts["miss"], other.counts["hit"]) == (20 - MOST, 20 - MOST)
    assert other.saved == 20 - MOST
    assert sum(other.times["load"].values()) == 20 - MOST
    assert found["testapp.shelf"].counts["hit"] == 1
    said = [each for each in caplog.records if getattr(each, "event", "") == "many_families"]
    assert [(each.family, each.count) for each in said] == [(f"fragment of user {MOST}", MOST)]


@pytest.mark.usefixtures("_nothing_was_sent")
def test_processes_that_come_and_go_bring_no_more_families_than_one(redis_client: Any) -> None:
    config = conf.config()
    figures, keys = figures_of(config), config.metrics_keys()
    for number in range(3):  # Each a process of its own, with names of its own.
        names = [f"fragment of user {number}:{at}" for at in range(600)]
        sent = {"hit|shop.product": 1, **{f"hit|{name}": 2 for name in names}}
        for _ in range(2):  # As if the first reply had been lost.
            figures.add(b"process-%d" % number, 1, sent, {})
    found = history.totals("15m")
    assert len([name for name in found if name.startswith("fragment")]) == 1000
    assert found["shop.product"].counts["hit"] == 3
    assert found[OTHER].counts["hit"] == 2 * 800
    assert sum(each.counts["hit"] for each in found.values()) == 3 + 2 * 1800
    assert sum(figures.ever().values()) == 3 + 2 * 1800
    assert redis_client.ttl(keys.fragments) > 0


@pytest.mark.usefixtures("_nothing_was_sent")
def test_the_doctor_says_that_there_are_too_many() -> None:
    assert OTHER not in " ".join(each.text for each in doctors_figures())
    for at in range(MOST + 1):
        metrics.count(f"fragment {at}", "hit")
    flushing.flush()
    (said,) = [each for each in doctors_figures() if each.level is Level.WARNING]
    assert OTHER in said.text
