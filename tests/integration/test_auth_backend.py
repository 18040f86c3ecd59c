"""`request.user` through the cache: an authenticated request costs no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.models import Group, Permission, User, UserManager
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.test import AsyncClient, Client, TestCase, override_settings
from django.urls import path
from django.utils import timezone

from django_cachepatterns.contrib.auth import CachedModelBackend
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.invalidation import registry

from .test_round_trips import Listening, listening  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

BACKEND = "django_cachepatterns.contrib.auth.CachedModelBackend"


def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"name": request.user.get_username(), "n": request.session.get("n")})


async def awhoami(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    return JsonResponse({"name": user.get_username(), "n": await request.session.aget("n")})


urlpatterns = [path("me/", whoami), path("ame/", awhoami)]


@pytest.fixture(autouse=True)
def set_up() -> Iterator[None]:
    with override_settings(
        ROOT_URLCONF=__name__,
        AUTHENTICATION_BACKENDS=[BACKEND],
        SESSION_ENGINE="django_cachepatterns.contrib.sessions",
    ):
        yield


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada", password="secret")


@pytest.fixture
def client(user: User) -> Client:
    """A browser of somebody who is logged in, and whose session says `n`."""
    client = Client()
    client.force_login(user)
    session = client.session
    session["n"] = 5
    session.save()
    assert name(client) == "ada"
    return client


def name(client: Client) -> str:
    found = client.get("/me/")
    assert found.status_code == 200
    return str(found.json()["name"])


def with_cookies_of(client: Client) -> Client:
    copied = Client()
    copied.cookies.load({name: morsel.value for name, morsel in client.cookies.items()})
    return copied


def test_an_authenticated_request_costs_no_sql(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/me/").json() == {"name": "ada", "n": 5}


def test_an_authenticated_request_costs_two_gets(client: Client, listening: Listening) -> None:  # noqa: F811
    with listening() as trips:
        client.get("/me/")
    assert trips == [["GET"], ["GET"]]


def test_after_a_login_by_password_too(user: User, django_assert_num_queries: Any) -> None:
    client = Client()
    assert not client.login(username="ada", password="wrong")
    assert client.login(username="ada", password="secret")
    assert name(client) == "ada"
    with django_assert_num_queries(0):
        assert name(client) == "ada"


@pytest.mark.parametrize("address", ["/me/", "/ame/"])
def test_an_asynchronous_request_costs_no_sql(
    address: str, user: User, django_assert_num_queries: Any
) -> None:
    client = AsyncClient()
    client.force_login(user)

    async def ask() -> Any:
        return (await client.get(address)).json()

    assert async_to_sync(ask)() == {"name": "ada", "n": None}
    with django_assert_num_queries(0):
        assert async_to_sync(ask)() == {"name": "ada", "n": None}


def test_one_on_an_event_loop_of_its_own(user: User) -> None:
    async def story() -> tuple[Any, Any]:
        client = AsyncClient()
        await client.aforce_login(user)
        try:
            await client.get("/ame/")
            await User.objects.filter(pk=user.pk).aupdate(username="countess")
            answer = (await client.get("/ame/")).json()
            return answer, await CachedModelBackend().aget_user(user.pk)
        finally:
            await sync_to_async(connections.close_all)()

    answer, found = asyncio.run(story())
    assert answer == {"name": "countess", "n": None}
    assert found == user


@override_settings(
    ROOT_URLCONF=__name__,
    AUTHENTICATION_BACKENDS=[BACKEND],
    SESSION_ENGINE="django_cachepatterns.contrib.sessions",
)
class RequestsInATestCase(TestCase):
    """Where no transaction ever commits."""

    databases = {"default", "other"}

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = User.objects.create_user("ada")  # type: ignore[attr-defined]

    def setUp(self) -> None:
        self.client.force_login(self.user)  # type: ignore[attr-defined]
        assert name(self.client) == "ada"

    def test_an_authenticated_request_costs_no_sql(self) -> None:
        with self.assertNumQueries(0):
            assert name(self.client) == "ada"

    def test_what_changes_is_seen(self) -> None:
        User.objects.update(username="countess")
        assert name(self.client) == "countess"

    def test_what_changed_is_undone_with_its_test(self) -> None:
        assert name(self.client) == "ada"
        User.objects.all().delete()
        assert name(self.client) == ""


# What changes is seen at the next request


def test_a_user_who_is_made_inactive_is_logged_out(client: Client, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert name(client) == ""
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert name(client) == "ada"


def test_a_user_who_is_deleted_is_logged_out(client: Client, user: User) -> None:
    User.objects.all().delete()
    assert name(client) == ""


def test_a_new_name_is_seen(client: Client, user: User) -> None:
    user.username = "countess"
    user.save(update_fields=["username"])
    assert name(client) == "countess"


def test_a_new_password_ends_other_sessions(client: Client, user: User) -> None:
    user.set_password("other")
    user.save()
    assert name(client) == ""


def test_a_logout_is_seen(client: Client, user: User) -> None:
    copied = with_cookies_of(client)
    assert name(copied) == "ada"
    client.logout()
    assert name(client) == ""
    assert name(copied) == ""


def test_permissions_are_as_the_database_has_them(client: Client, user: User) -> None:
    backend = CachedModelBackend()
    permission = Permission.objects.create(
        codename="count", content_type=ContentType.objects.get_for_model(User)
    )
    group = Group.objects.create(name="counters")
    group.permissions.add(permission)
    assert not backend.get_user(user.pk).has_perm("auth.count")
    user.groups.add(group)
    assert backend.get_user(user.pk).has_perm("auth.count")
    group.permissions.clear()
    assert not backend.get_user(user.pk).has_perm("auth.count")


# As Django's backend


def test_users_that_are_not_there() -> None:
    backend = CachedModelBackend()
    for _ in range(2):
        assert backend.get_user(12345) is None
    assert User.objects.create_user("late", pk=12345) == backend.get_user(12345)
    assert backend.get_user("12345").username == "late"


def test_authenticate(user: User) -> None:
    assert authenticate(username="ada", password="secret") == user
    assert authenticate(username="ada", password="wrong") is None
    assert async_to_sync(aauthenticate)(username="ada", password="secret") == user
    User.objects.update(is_active=False)
    assert authenticate(username="ada", password="secret") is None
    assert CachedModelBackend().get_user(user.pk) is None


def test_each_request_has_a_user_of_its_own(user: User) -> None:
    backend = CachedModelBackend()
    one, other = backend.get_user(user.pk), backend.get_user(user.pk)
    assert one == other
    assert one is not other


def test_a_default_manager_that_filters_is_respected(
    user: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    backend = CachedModelBackend()
    assert backend.get_user(user.pk) == user
    plain = UserManager.get_queryset

    def get_queryset(self: Any) -> Any:
        return plain(self).exclude(date_joined__lt=timezone.now())

    monkeypatch.setattr(UserManager, "get_queryset", get_queryset)
    with django_assert_num_queries(1):
        assert backend.get_user(user.pk) is None


def test_sessions_begun_under_djangos_own_backend_and_engine(
    user: User, django_assert_num_queries: Any
) -> None:
    old = "django.contrib.auth.backends.ModelBackend"
    client = Client()
    with override_settings(
        AUTHENTICATION_BACKENDS=[old], SESSION_ENGINE="django.contrib.sessions.backends.db"
    ):
        client.force_login(user)
    assert name(with_cookies_of(client)) == ""
    with override_settings(AUTHENTICATION_BACKENDS=[BACKEND, old]):
        client = with_cookies_of(client)
        assert name(client) == "ada"
        with django_assert_num_queries(1):
            assert name(client) == "ada"


class OwnBackend(CachedModelBackend):
    def user_can_authenticate(self, user: Any) -> bool:
        return bool(super().user_can_authenticate(user)) and user.username != "ada"


@pytest.mark.parametrize(
    ("backends", "followed"),
    [
        ([f"{__name__}.OwnBackend"], True),
        (["django.contrib.auth.backends.RemoteUserBackend", BACKEND], True),
        (["django.contrib.auth.backends.ModelBackend"], False),
        (["tests.nowhere.Backend"], False),
    ],
)
def test_the_backends_that_follow_users(backends: list[str], followed: bool) -> None:
    with override_settings(AUTHENTICATION_BACKENDS=backends):
        assert registry.is_tracked(User) is followed
        assert registry.is_tracked(User.groups.through) is followed
    assert registry.is_tracked(User)


def test_a_backend_derived_from_it(user: User) -> None:
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.OwnBackend"]):
        client = Client()
        client.force_login(user)
        assert name(client) == ""


def test_one_that_is_not_in_the_settings_is_refused(user: User) -> None:
    with (
        override_settings(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]),
        pytest.raises(PolicyError, match=r"auth\.User"),
    ):
        CachedModelBackend().get_user(user.pk)


def test_the_policy_is_that_of_the_settings(user: User, django_assert_num_queries: Any) -> None:
    policies = {"auth.User": {"pattern": "cache_aside"}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        for _ in range(2):
            with django_assert_num_queries(1):
                assert CachedModelBackend().get_user(user.pk) == user
