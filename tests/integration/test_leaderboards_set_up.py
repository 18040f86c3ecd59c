"""How leaderboards are declared, what is wrong with some, tenants, and tests of projects."""

from __future__ import annotations

import os
import subprocess
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import transaction
from django.test import TestCase
from django.test.utils import isolate_apps

from django_cachepatterns.conf import as_tenant
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import Leaderboard, Standing, registry
from tests.integration.boards import by_sql, made
from tests.testapp.models import Champion, Player, fastest, players

database = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def test_a_board_is_registered() -> None:
    assert registry.chosen(["Players"]) == [players]


def test_two_boards_of_one_name_are_refused() -> None:
    with made("twice", model=Player, field="score"):
        Leaderboard("twice", model="testapp.player", field="score")
        with pytest.raises(PolicyError, match="called 'twice'"):
            Leaderboard("twice", model=Player, field="score", order="asc")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"model": "testapp.Nothing", "field": "score"}, "E050"),
        ({"model": "Player", "field": "score"}, "E050"),
        ({"model": Player, "field": "nothing"}, "E044"),
        ({"model": Player, "field": "name"}, "E045"),
        ({"model": Player, "field": "score", "order": "best"}, "E051"),
        ({"model": Player, "field": "score", "batch_rows": 0}, "E041"),
    ],
)
def test_what_cannot_be_ranked_is_a_problem(options: dict[str, Any], code: str) -> None:
    with made("odd", **options) as board:
        assert [problem.code for problem in board.problems()] == [code]
    assert players.problems() == []


def test_an_inherited_column_ranks_the_table_that_has_it() -> None:
    with made("heirs", model=Champion, field="score") as board:
        assert board.model is Player


def test_a_board_may_be_declared_before_its_model(tmp_path: Path) -> None:
    """As at the top of the module that makes the model, or of one that it imports."""
    package = tmp_path / "early"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(EARLY_MODELS)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", EARLY_PROGRAM], check=True, env=environment)


EARLY_MODELS = """
from django.db import models

from django_cachepatterns.write_behind import Leaderboard

early = Leaderboard("early", model="early.Thing", field="score")
again = Leaderboard("early", model="early.thing", field="score")
assert early.known_model() is None


class Thing(models.Model):
    score = models.IntegerField(null=True)
"""
EARLY_PROGRAM = """
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["early", "django_cachepatterns"])
django.setup()

from django.db.models.signals import post_save
from early.models import Thing, again
from django_cachepatterns.write_behind import registry

assert again.known_model() is again.model is Thing
assert registry.chosen(["early"]) == [again]
assert len(post_save._live_receivers(Thing)[0]) == 1
"""


@database
@isolate_apps("tests.testapp")
def test_a_proxy_s_saves_are_followed() -> None:
    class Rookie(Player):
        class Meta:
            app_label = "testapp"
            proxy = True

    assert players.size() == 0
    rookie = Rookie.objects.create(score=4)
    assert players.top(9) == [Standing(1, rookie.pk, 4)]
    rookie.delete()
    assert players.size() == 0


@database
def test_a_flushed_database_has_no_board() -> None:
    Player.objects.create(score=4)
    assert players.size() == 1
    call_command("flush", interactive=False, verbosity=0)
    assert players.size() == 0


@database
def test_loaddata_is_followed(tmp_path: Any) -> None:
    player = Player.objects.create(score=4)
    fixture = tmp_path / "players.json"
    call_command("dumpdata", "testapp.player", output=str(fixture), verbosity=0)
    player.score = 9
    player.save()
    assert players.score(player.pk) == 9
    call_command("loaddata", str(fixture), verbosity=0)
    assert players.score(player.pk) == 4


@database
def test_saves_of_other_columns_ask_nothing(django_assert_num_queries: Any) -> None:
    player = Player.objects.create(score=4)
    assert players.size() == 1
    with django_assert_num_queries(1):
        player.save(update_fields=["name"])
    with django_assert_num_queries(2):
        player.save(update_fields=["score"])


@database
def test_many_saves_in_a_transaction_are_one_look(django_assert_num_queries: Any) -> None:
    saved = [Player.objects.create(score=score) for score in range(5)]
    assert players.size() == 5
    assert fastest.size() == 0
    with django_assert_num_queries(2 + 5 + 1), transaction.atomic():
        for player in saved:
            player.score += 10
            player.save(update_fields=["score"])
    assert players.top(9) == by_sql(players)


current: ContextVar[str | None] = ContextVar("current", default=None)


def tenant() -> str | None:
    return current.get()


@database
def test_each_tenant_has_a_board_of_its_own(settings: LazySettings) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": f"{__name__}.tenant"}
    player = Player.objects.create(score=4)
    for name, by in (("acme", 1), ("other", 2)):
        with as_tenant(name):
            players.increment(player.pk, by)
            assert players.score(player.pk) == 4 + by
    with as_tenant("acme"), transaction.atomic():
        players.refresh([player.pk])
    with as_tenant("acme"):
        assert players.score(player.pk) == 5
        players.flush()
    with as_tenant("other"):
        players.flush()
        assert players.score(player.pk) == 6  # What acme has flushed, it is not told of.
        players.rebuild()
        assert players.score(player.pk) == 7


class BoardsInATestCase(TestCase):
    databases = {"default", "other"}

    @classmethod
    def setUpTestData(cls) -> None:
        cls.player = Player.objects.create(score=5)

    def test_1_everything_is_seen(self) -> None:
        assert players.top(9) == [Standing(1, self.player.pk, 5)]
        players.increment(self.player.pk, 2)
        with transaction.atomic():
            other = Player.objects.create(score=6)
        assert players.top(9) == [Standing(1, self.player.pk, 7), Standing(2, other.pk, 6)]
        assert players.rank(other.pk) == 2
        with transaction.atomic():
            Player.objects.filter(pk=other.pk)[0].delete()
        assert players.rank(other.pk) is None
        with outage():
            players.increment(self.player.pk, 1)
        assert players.flush().rows == 1
        assert players.top(9) == by_sql(players) == [Standing(1, self.player.pk, 8)]

    def test_2_and_does_not_outlive_its_test(self) -> None:
        assert players.top(9) == [Standing(1, self.player.pk, 5)]
        assert players.pending() == 0
