"""Every check has a test; every message names the fault and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_cachepatterns import CachePolicy, cache_aside
from django_cachepatterns.checks import check_dependencies, check_model, check_settings
from django_cachepatterns.models import CachedModel
from tests.testapp.models import Point, Ticket

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def ids(messages: Any) -> list[str]:
    found: list[CheckMessage] = list(messages)
    for message in found:
        assert (
            message.hint or "Use" in message.msg or "Point" in message.msg or "Give" in message.msg
        ), message
    return [str(message.id).removeprefix("cachepatterns.") for message in found]


def test_the_test_projects_own_models_are_right() -> None:
    ours = [each for each in run_checks() if str(each.id).startswith("cachepatterns")]
    assert {(each.id, each.obj) for each in ours} == {
        # One has an index on a column that the database computes, which is what it is there for.
        ("cachepatterns.W004", Ticket),
        # The server of the tests keeps nothing.
        ("cachepatterns.W007", None),
    }


def model(policy: Any = None, **attributes: Any) -> type[models.Model]:
    body = {"__module__": "tests.testapp.models", **attributes}
    if policy is not None:
        body["cache_policy"] = policy
    return type("Checked", (CachedModel,), body)


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (CachePolicy(tll=3), ["E001"]),
        (CachePolicy(ttl=0), ["E002"]),
        (CachePolicy(ttl=10, soft_ttl=11), ["E003"]),
        (CachePolicy(jitter=2), ["E004"]),
        (CachePolicy(negative_ttl=-2), ["E005"]),
        (CachePolicy(lease_ttl=0), ["E006"]),
        (CachePolicy(pattern="x"), ["E007"]),
        ({"ttl": 3}, ["E008"]),
        (CachePolicy(codec="pickles"), ["E009"]),
        (CachePolicy(codec="nowhere.at.all"), ["E009"]),
        (CachePolicy(lookups=["slugg"]), ["E010"]),
        (CachePolicy(lookups=["name"]), ["E011"]),
        (CachePolicy(lookups=[("name", "number")]), ["E011"]),
        (CachePolicy(lookups=["slug", ("slug", "name")]), []),
        (CachePolicy(indexes=["colour"]), ["E012"]),
        (CachePolicy(indexes=["name"]), []),
    ],
)
def test_policies_against_their_model(policy: Any, expected: list[str]) -> None:
    checked = model(
        policy,
        name=models.CharField(max_length=9),
        slug=models.SlugField(unique=True),
        number=models.IntegerField(),
    )
    assert ids(check_model(checked)) == expected


class Mood(models.Field):
    def db_type(self, connection: Any) -> str:
        return "mood"


@isolate_apps("tests.testapp")
def test_a_column_that_cannot_be_carried() -> None:
    (message,) = check_model(model(mood=Mood(), point=Point()))
    assert message.id == "cachepatterns.E013"
    assert "'mood'" in message.msg
    assert message.hint is not None
    assert "register_column_type" in message.hint


@isolate_apps("tests.testapp")
def test_a_column_type_that_was_registered_is_carried() -> None:
    from django_cachepatterns.orm import columns

    columns.register_column_type("mood")
    try:
        assert ids(check_model(model(mood=Mood()))) == []
    finally:
        del columns._POSTGRESQL["mood"]


@isolate_apps("tests.testapp")
def test_a_manager_that_does_not_invalidate() -> None:
    messages = list(check_model(model(plain=models.Manager())))
    assert ids(messages) == ["W002"]
    assert "'plain'" in messages[0].msg


@isolate_apps("tests.testapp")
def test_a_composite_primary_key_is_not_cached() -> None:
    if not hasattr(models, "CompositePrimaryKey"):
        pytest.fail("every supported Django has composite keys")
    checked = model(
        pk=models.CompositePrimaryKey("a", "b"),
        a=models.IntegerField(),
        b=models.IntegerField(),
    )
    assert ids(check_model(checked)) == ["W001"]


@isolate_apps("tests.testapp", "django_cachepatterns")
@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="Django 6.1 brought it")
def test_an_on_delete_of_the_databases_own() -> None:
    class Parent(models.Model):
        class Meta:
            app_label = "testapp"

    checked = model(parent=models.ForeignKey(Parent, on_delete=models.DB_CASCADE))
    assert ids(check_model(checked)) == ["E014"]


LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"TENANT": "nowhere.tenant"}, ["E020"]),
        (["default"], ["E020"]),
        (None, ["E020"]),
        ({"KEY_PREFIXX": "a"}, ["E021"]),
        ({"TIMEOUT": 0}, ["E022"]),
        ({"MARK_TTL": "1"}, ["E022"]),
        ({"KEY_PREFIX": ""}, ["E023"]),
        ({"CACHE": "nowhere"}, ["E024"]),
        ({"POLICIES": {"shop.Nothing": {"ttl": 3}}}, ["E025"]),
        ({"POLICIES": {"shop.*": {"ttl": 3}, "testapp.item": {"ttl": 3}}}, []),
        ({"BUFFER_CACHE": "default"}, []),
        ({"LEDGER_KEEP": 0}, ["E026"]),
        ({"LEDGER_KEEP": "a week"}, ["E026"]),
        ({"LEDGER_KEEP": True}, ["E026"]),
        ({"LEDGER_KEEP": 3600.5}, []),
        ({"DRAIN_AT_EXIT": "no"}, ["E027"]),
        ({"DRAIN_AT_EXIT": 0}, ["E027"]),
        ({"DRAIN_AT_EXIT": False}, []),
        ({"ENABLED": "no"}, ["E029"]),
        ({"METRICS": "no"}, ["E028"]),
        ({"METRICS": False}, []),
        ({"METRICS_FLUSH_EVERY": "often"}, ["E022"]),
        ({"METRICS_FLUSH_EVERY": -1}, ["E022"]),
        ({"METRICS_FLUSH_EVERY": 0}, []),
    ],
)
def test_settings(setting: Any, expected: list[str]) -> None:
    with override_settings(CACHEPATTERNS=setting):
        assert ids(check_settings()) == expected


@pytest.mark.parametrize("setting", [{"TENANT": "nowhere.tenant"}, ["default"], None])
def test_settings_that_cannot_be_read_are_one_error_of_all_checks(setting: Any) -> None:
    with override_settings(CACHEPATTERNS=setting):
        errors = [each for each in run_checks() if str(each.id).startswith("cachepatterns")]
    assert ids(errors) == ["E020"]


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(("policy", "expected"), [({"tll": 3}, "E001"), ({"ttl": 0}, "E002")])
def test_a_wrong_policy_with_an_index(policy: dict[str, Any], expected: str) -> None:
    checked = model(CachePolicy(indexes=["name"], **policy), name=models.TextField())
    assert ids(check_model(checked)) == [expected]


@isolate_apps("tests.testapp")
def test_an_index_that_narrows_nothing() -> None:
    checked = model(
        CachePolicy(indexes=["price"]),
        price=models.DecimalField(max_digits=8, decimal_places=2),
    )
    (warning,) = (each for each in check_model(checked) if each.id == "cachepatterns.W004")
    assert "'price'" in warning.msg


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beta": 0}, ["E030"]),
        ({"admit_after": 0}, ["E031"]),
        ({"admit_after": 1.5}, ["E031"]),
        ({"max_size": -1}, ["E032"]),
        ({"stampede": "stale_while_revalidate"}, ["E033"]),
        ({"stampede": "stale_while_revalidate", "soft_ttl": 10}, []),
        ({"pattern": "write_through", "invalidation": "ttl"}, ["E034"]),
        ({"pattern": "write_through", "invalidation": "version"}, ["E034"]),
        ({"refresh": "celery"}, []),
        ({"refresh": "someone"}, ["E007"]),
    ],
)
def test_policies_of_refreshes_limits_and_patterns(
    changes: dict[str, Any], expected: list[str]
) -> None:
    problems = list(CachePolicy(**changes).problems())
    assert [problem.code for problem in problems] == expected
    assert all(problem.hint for problem in problems)


def test_celery_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_cachepatterns.policy.find_spec", lambda name: None)
    (problem,) = CachePolicy(refresh="celery").problems()
    assert problem.code == "E035"


def test_a_function_that_depends_on_a_model_that_nobody_follows() -> None:
    @cache_aside(key="checked", depends_on=["testapp.Basket", "testapp.Nothing"])
    def checked() -> int:
        return 1

    messages = [message for message in check_dependencies() if "checked" in message.msg]
    assert [message.id for message in messages] == ["cachepatterns.E036"] * 2
    assert any("POLICIES" in message.msg for message in messages)
    assert checked


def test_a_cache_that_cannot_hold_leases() -> None:
    with override_settings(CACHES=LOCMEM):
        (message,) = check_settings()
    assert message.id == "cachepatterns.E024"
    assert "LocMemCache" in message.msg
    assert "django_redis.cache.RedisCache" in message.msg
