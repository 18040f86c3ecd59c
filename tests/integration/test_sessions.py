"""Sessions in the database, read through the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from django_cachepatterns import conf
from django_cachepatterns.contrib import sessions
from django_cachepatterns.contrib.sessions import SessionStore
from django_cachepatterns.invalidation import registry
from django_cachepatterns.orm.rows import rows_of
from example_project.servers import Valkey
from tests.testapp.plain import AccountSession, AccountSessionStore

from .test_round_trips import Listening, listening  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ENGINE = "django_cachepatterns.contrib.sessions"


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    with override_settings(SESSION_ENGINE=ENGINE):
        yield


@pytest.fixture
def key() -> str:
    """The key of a session that says `{"n": 1}`."""
    store = SessionStore()
    store["n"] = 1
    store.save()
    assert store.session_key is not None
    return str(store.session_key)


def read(key: str) -> dict[str, Any]:
    return dict(SessionStore(key).load())


def write(key: str, **values: Any) -> None:
    store = SessionStore(key)
    store.update(values)
    store.save()


async def aread(key: str) -> dict[str, Any]:
    return dict(await SessionStore(key).aload())


async def awrite(key: str, **values: Any) -> None:
    store = SessionStore(key)
    await store.aupdate(values)
    await store.asave()


Read = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("read", [read, async_to_sync(aread)], ids=["sync", "async"])
@pytest.mark.parametrize("write", [write, async_to_sync(awrite)], ids=["sync", "async"])
def test_a_session_is_readable_at_once_and_without_sql(
    read: Read, write: Any, key: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert read(key) == {"n": 1}
    write(key, n=2)
    with django_assert_num_queries(0):
        assert read(key) == {"n": 2}
    write(key, more=[1, 2])
    with django_assert_num_queries(0):
        assert read(key) == {"n": 2, "more": [1, 2]}


def test_a_read_is_one_get(key: str, listening: Listening) -> None:  # noqa: F811
    read(key)
    with listening() as trips:
        assert read(key) == {"n": 1}
    assert trips == [["GET"]]


def test_a_save_reads_the_row_once_more(
    key: str,
    listening: Listening,  # noqa: F811
    django_assert_num_queries: Any,
) -> None:
    store = SessionStore(key)
    store["n"] = 2
    # BEGIN, UPDATE, COMMIT, SELECT; the mark, a look at it, the row, the end.
    with listening() as trips, django_assert_num_queries(4):
        store.save()
    assert len(trips) == 4


def test_it_is_a_row_as_djangos_own_engine_writes_it(key: str) -> None:
    assert dict(DatabaseStore(key).load()) == {"n": 1}
    assert Session.objects.get(pk=key).get_decoded() == {"n": 1}
    theirs = DatabaseStore(key)
    theirs["n"] = 2
    theirs.save()
    assert read(key) == {"n": 2}


def lose_everything(client: redis.Redis) -> None:
    for each in client.scan_iter(f"{django_settings.KEY_PREFIX}:*"):
        client.unlink(each)


def test_it_survives_the_loss_of_the_cache(key: str, redis_client: redis.Redis) -> None:
    assert read(key) == {"n": 1}
    lose_everything(redis_client)
    assert read(key) == {"n": 1}
    write(key, n=2)
    lose_everything(redis_client)
    assert read(key) == {"n": 2}


def test_it_works_without_the_cache(own_valkey: Valkey) -> None:
    caches = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": own_valkey.url,
        }
    }
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1}):
        store = SessionStore()
        store["n"] = 1
        store.save()
        key = str(store.session_key)
        assert read(key) == {"n": 1}
        own_valkey.kill()
        assert read(key) == {"n": 1}
        write(key, n=2)
        assert read(key) == {"n": 2}


def test_what_is_written_in_a_transaction_is_seen_in_it_and_undone_with_it(key: str) -> None:
    read(key)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(key, n=2)
        assert read(key) == {"n": 2}
        raise ZeroDivisionError
    assert read(key) == {"n": 1}


def test_another_request_does_not_see_what_is_not_committed(
    key: str, elsewhere: Callable[..., Any]
) -> None:
    read(key)
    with transaction.atomic():
        write(key, n=2)
        assert elsewhere(read, key) == {"n": 1}
    assert elsewhere(read, key) == {"n": 2}


def test_two_requests_at_once(key: str) -> None:
    one, other = SessionStore(key), SessionStore(key)
    one["n"], other["m"] = 2, 3
    one.save()
    other.save()
    assert read(key) == {"n": 1, "m": 3}, "as with Django: the whole session, the last save wins"


# Sessions that end


def test_an_expired_session_is_not_loaded(
    key: str, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = Session.objects.get(pk=key).expire_date
    store = SessionStore(key)
    monkeypatch.setattr(timezone, "now", lambda: expires - timedelta(microseconds=1))
    assert store.load() == {"n": 1}
    monkeypatch.setattr(timezone, "now", lambda: expires)
    with django_assert_num_queries(0):
        assert store.load() == {}
    assert store.session_key is None


def test_an_expiry_that_is_moved_by_hand_is_seen(key: str) -> None:
    read(key)
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(days=1))
    assert read(key) == {}


def test_a_deleted_session_is_gone(key: str) -> None:
    read(key)
    SessionStore(key).delete()
    assert read(key) == {}
    SessionStore(key).delete()
    assert not SessionStore().exists(key)


def test_one_that_was_deleted_meanwhile_is_not_saved(key: str) -> None:
    store = SessionStore(key)
    store["n"] = 2
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()
    assert read(key) == {}
    assert not Session.objects.exists()


def test_one_that_was_deleted_meanwhile_is_not_saved_async(key: str) -> None:
    async def story() -> None:
        store = SessionStore(key)
        await store.aset("n", 2)
        await SessionStore(key).adelete()
        with pytest.raises(UpdateError):
            await store.asave()
        assert await SessionStore(key).aload() == {}
        assert not await SessionStore().aexists(key)

    async_to_sync(story)()


def test_cycle_key_keeps_the_data_and_ends_the_old_key(
    key: str, django_assert_num_queries: Any
) -> None:
    store = SessionStore(key)
    store.cycle_key()
    assert store.session_key not in (None, key)
    store.save()
    assert read(key) == {}
    with django_assert_num_queries(0):
        assert read(str(store.session_key)) == {"n": 1}


def test_flush_ends_it(key: str) -> None:
    store = SessionStore(key)
    store.flush()
    assert store.session_key is None
    assert read(key) == {}


def test_async_cycle_key_and_flush(key: str) -> None:
    async def story() -> None:
        store = SessionStore(key)
        await store.acycle_key()
        await store.asave()
        assert await SessionStore(key).aload() == {}
        other = SessionStore(store.session_key)
        assert await other.aload() == {"n": 1}
        await other.aflush()
        assert await SessionStore(store.session_key).aload() == {}

    async_to_sync(story)()


def clear() -> None:
    call_command("clearsessions")


@pytest.mark.parametrize(
    "clear", [clear, async_to_sync(SessionStore.aclear_expired)], ids=["command", "async"]
)
def test_clearsessions_deletes_the_expired_in_batches(
    clear: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "BATCH", 2)
    keys = []
    for n in range(7):
        store = SessionStore()
        store["n"] = n
        store.set_expiry(3600 if n in (1, 4) else -1)
        store.save()
        keys.append(str(store.session_key))
    clear()
    assert set(Session.objects.values_list("pk", flat=True)) == {keys[1], keys[4]}
    assert [read(key).get("n") for key in keys] == [None, 1, None, None, 4, None, None]


def test_clearsessions_ends_though_the_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BATCH", 2)
    for _ in range(5):
        store = SessionStore()
        store.set_expiry(-1)
        store.save()
    batches: list[int] = []

    def delete(queryset: Any) -> None:
        batches.append(queryset.count())
        assert len(batches) <= 3

    monkeypatch.setattr(type(Session.objects.all()), "delete", delete)
    clear()
    assert batches == [2, 2, 1]


def test_keys_that_are_made_up_leave_nothing_behind(
    redis_client: redis.Redis, django_assert_num_queries: Any
) -> None:
    for _ in range(2):
        with django_assert_num_queries(1):
            store = SessionStore("a-key-that-nobody-was-given")
            assert store.load() == {}
        assert store.session_key is None
    family = f"{django_settings.KEY_PREFIX}:sessions.session:a-key*"
    assert not list(redis_client.scan_iter(family))


# Set-up


def test_the_policy_can_be_overridden() -> None:
    assert conf.policy_of(Session) == sessions.POLICY
    assert (sessions.POLICY.pattern, sessions.POLICY.negative_ttl) == ("write_through", None)
    policies = {"sessions.Session": {"ttl": 60, "pattern": "read_through"}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        assert conf.policy_of(Session) == sessions.POLICY.using(ttl=60, pattern="read_through")
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        assert conf.policy_of(Session).pattern == "read_through"
        assert not registry.is_tracked(Session)
    rows = rows_of(Session)
    assert rows is not None
    assert rows.policy == sessions.POLICY


@pytest.mark.parametrize(
    "engine",
    [
        "django.contrib.sessions.backends.cache",
        "django.contrib.sessions.backends.signed_cookies",
        "tests.nowhere",
    ],
)
def test_other_engines_follow_nothing(engine: str) -> None:
    with override_settings(SESSION_ENGINE=engine):
        assert not registry.is_tracked(Session)


def test_a_session_model_of_a_projects_own(django_assert_num_queries: Any) -> None:
    with override_settings(SESSION_ENGINE="tests.testapp.sessions"):
        assert registry.is_tracked(AccountSession)
        assert not registry.is_tracked(Session)
        store = AccountSessionStore()
        store["_auth_user_id"] = 7
        store.save()
        key = str(store.session_key)
        assert AccountSession.objects.get(account_id=7).pk == key
        with django_assert_num_queries(0):
            assert AccountSessionStore(key).load() == {"_auth_user_id": 7}
        AccountSession.objects.filter(account_id=7).delete()
        assert AccountSessionStore(key).load() == {}
        assert not Session.objects.exists()
