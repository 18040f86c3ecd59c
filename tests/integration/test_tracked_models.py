"""Models that nobody can edit: named in the settings, their every write is followed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission, User, UserManager
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet, signals
from django.test import override_settings

from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.invalidation import registry
from django_cachepatterns.managers import read_through
from tests.testapp.models import Item
from tests.testapp.plain import (
    Clerk,
    ClerkManager,
    ClerkQuerySet,
    Desk,
    HeadClerk,
    Intern,
    Office,
    PresentClerk,
)

from .test_round_trips import BEGIN_AND_END, Listening, listening  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

POLICIES = {"auth.User": {"ttl": 600}, "sessions.Session": {}, "testapp.Clerk": {}}
Links: Any = Clerk.desks.through


@pytest.fixture(autouse=True)
def followed() -> Iterator[None]:
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": POLICIES}):
        yield


@pytest.fixture
def clerk() -> Clerk:
    clerk: Clerk = Clerk.objects.create(
        name="old", office=Office.objects.create(name="first"), grade=3
    )
    clerk.desks.add(Desk.objects.create(name="near"))
    assert read_through(Clerk).get(pk=clerk.pk).name == "old"
    assert read_through(Links).get(clerk=clerk).pk
    return clerk


def save(clerk: Clerk) -> None:
    clerk.name = "new"
    clerk.save()


def save_expression(clerk: Clerk) -> None:
    Clerk(pk=clerk.pk, name="new", grade=F("grade") + 1).save()


def save_through_a_proxy(clerk: Clerk) -> None:
    proxy = PresentClerk.objects.get(pk=clerk.pk)
    proxy.name = "new"
    proxy.save()


def update(clerk: Clerk) -> None:
    assert Clerk.objects.filter(pk=clerk.pk).update(name="new") == 1


def update_through_a_proxys_manager(clerk: Clerk) -> None:
    assert PresentClerk.objects.update(name="new") == 1


def update_through_the_base_manager(clerk: Clerk) -> None:
    assert Clerk._base_manager.filter(pk=clerk.pk).update(name="new") == 1


def update_of_a_related_manager(clerk: Clerk) -> None:
    assert clerk.office is not None
    assert clerk.office.clerks.update(name="new") == 1


def update_of_a_copied_related_manager(clerk: Clerk) -> None:
    assert clerk.office is not None
    other = Clerk.objects.create(name="other")
    assert clerk.office.clerks.db_manager("default").update(name="new") == 1
    assert Clerk.objects.get(pk=other.pk).name == "other"


def update_of_a_reverse_many_to_many(clerk: Clerk) -> None:
    assert Desk.objects.get().clerks.filter(grade=3).update(name="new") == 1


def async_update(clerk: Clerk) -> None:
    assert async_to_sync(Clerk.objects.filter(pk=clerk.pk).aupdate)(name="new") == 1


def update_of_an_unpickled_queryset(clerk: Clerk) -> None:
    queryset = Clerk.objects.filter(pk=clerk.pk)
    again = Clerk.objects.all()
    again.query = pickle.loads(pickle.dumps(queryset.query))
    assert again.update(name="new") == 1


def bulk_update(clerk: Clerk) -> None:
    clerk.name = "new"
    Clerk.objects.bulk_update([clerk], ["name"])


def bulk_create_over_it(clerk: Clerk) -> None:
    Clerk.objects.bulk_create(
        [Clerk(pk=clerk.pk, name="new")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["name"],
    )


def update_or_create(clerk: Clerk) -> None:
    Clerk.objects.update_or_create(pk=clerk.pk, defaults={"name": "new"})


def in_a_transaction(clerk: Clerk) -> None:
    with transaction.atomic():
        Clerk.objects.filter(pk=clerk.pk).update(name="new")
        assert read_through(Clerk).get(pk=clerk.pk).name == "new"


@pytest.mark.parametrize(
    "write",
    [
        save,
        save_expression,
        save_through_a_proxy,
        update,
        update_through_a_proxys_manager,
        update_through_the_base_manager,
        update_of_a_related_manager,
        update_of_a_copied_related_manager,
        update_of_a_reverse_many_to_many,
        async_update,
        update_of_an_unpickled_queryset,
        bulk_update,
        bulk_create_over_it,
        update_or_create,
        in_a_transaction,
    ],
)
def test_a_write_is_seen(write: Callable[[Clerk], None], clerk: Clerk) -> None:
    write(clerk)
    assert read_through(Clerk).get(pk=clerk.pk).name == "new"


@pytest.mark.parametrize(
    "write", [update, update_through_the_base_manager, update_of_a_related_manager]
)
def test_a_write_is_seen_after_django_has_made_new_managers(
    write: Callable[[Clerk], None], clerk: Clerk
) -> None:
    held = Clerk.objects, Clerk._base_manager
    apps.clear_cache()  # As whenever a model is added.
    assert held[0] is not Clerk.objects
    assert held[1] is not Clerk._base_manager
    write(clerk)
    assert read_through(Clerk).get(pk=clerk.pk).name == "new"


def test_a_childs_save_is_seen(clerk: Clerk) -> None:
    head = HeadClerk.objects.create(name="old")
    read_through(Clerk).get(pk=head.pk)
    HeadClerk.objects.filter(pk=head.pk).update(name="new")
    assert read_through(Clerk).get(pk=head.pk).name == "new"
    head.name = "newer"
    head.save()
    assert read_through(Clerk).get(pk=head.pk).name == "newer"


def test_a_parents_update_is_seen_by_a_child_that_is_named() -> None:
    policies = {"testapp.HeadClerk": {}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        assert not registry.is_tracked(Clerk)
        head = HeadClerk.objects.create(name="old")
        read_through(HeadClerk).get(pk=head.pk)
        Clerk.objects.filter(pk=head.pk).update(name="new")
        assert read_through(HeadClerk).get(pk=head.pk).name == "new"


def delete_it(clerk: Clerk) -> None:
    clerk.delete()


def delete_all(clerk: Clerk) -> None:
    Clerk.objects.all().delete()


def delete_through_the_base_manager(clerk: Clerk) -> None:
    Clerk._base_manager.filter(pk=clerk.pk).delete()


@pytest.mark.parametrize("write", [delete_it, delete_all, delete_through_the_base_manager])
def test_a_delete_is_seen(write: Callable[[Clerk], None], clerk: Clerk) -> None:
    pk = clerk.pk
    link = read_through(Links).get(clerk_id=pk)
    read_through(Links).get(pk=link.pk)
    write(clerk)
    with pytest.raises(Clerk.DoesNotExist):
        read_through(Clerk).get(pk=pk)
    with pytest.raises(ObjectDoesNotExist):
        read_through(Links).get(pk=link.pk)


@pytest.mark.parametrize("many", [False, True])
def test_set_null_is_seen(many: bool, clerk: Clerk) -> None:
    if many:
        Office.objects.all().delete()
    else:
        Office.objects.get().delete()
    assert read_through(Clerk).get(pk=clerk.pk).office_id is None


def test_a_remembered_absence_is_forgotten(clerk: Clerk, django_assert_num_queries: Any) -> None:
    pks = [clerk.pk + 1, clerk.pk + 2]
    for _ in range(2):
        with pytest.raises(Clerk.DoesNotExist):
            read_through(Clerk).get(pk=pks[0])
    with django_assert_num_queries(0), pytest.raises(Clerk.DoesNotExist):
        read_through(Clerk).get(pk=pks[0])
    Clerk.objects.bulk_create([Clerk(pk=pk, name="new") for pk in pks])
    assert {each.pk for each in read_through(Clerk).filter(pk__in=pks)} == set(pks)


# Many-to-many tables


@pytest.fixture(params=[False, True], ids=["fast deletes", "somebody listens to all deletes"])
def any_listener(request: pytest.FixtureRequest) -> Iterator[None]:
    def listen(**kwargs: Any) -> None: ...

    if request.param:
        signals.post_delete.connect(listen)
    yield
    signals.post_delete.disconnect(listen)


def remove(clerk: Clerk, desk: Desk) -> None:
    clerk.desks.remove(desk)


def clear(clerk: Clerk, desk: Desk) -> None:
    clerk.desks.clear()


def clear_from_the_other_end(clerk: Clerk, desk: Desk) -> None:
    desk.clerks.clear()


def set_others(clerk: Clerk, desk: Desk) -> None:
    clerk.desks.set([Desk.objects.create(name="far")])


def delete_this_end(clerk: Clerk, desk: Desk) -> None:
    clerk.delete()


def delete_the_other_end(clerk: Clerk, desk: Desk) -> None:
    desk.delete()


def delete_all_of_the_other_end(clerk: Clerk, desk: Desk) -> None:
    Desk.objects.all().delete()


def delete_as_an_admin_inline_does(clerk: Clerk, desk: Desk) -> None:
    Links.objects.get(clerk=clerk).delete()


def delete_through_the_tables_manager(clerk: Clerk, desk: Desk) -> None:
    Links.objects.filter(desk=desk).delete()


LOSE = [
    remove,
    clear,
    clear_from_the_other_end,
    set_others,
    delete_this_end,
    delete_the_other_end,
    delete_all_of_the_other_end,
    delete_as_an_admin_inline_does,
    delete_through_the_tables_manager,
]


@pytest.mark.parametrize("write", LOSE)
def test_a_lost_link_is_seen(
    write: Callable[[Clerk, Desk], None], clerk: Clerk, any_listener: None
) -> None:
    link = Links.objects.get(clerk=clerk)
    assert read_through(Links).get(pk=link.pk).desk_id == link.desk_id
    write(clerk, Desk.objects.get())
    assert not Links.objects.filter(pk=link.pk).exists()
    with pytest.raises(ObjectDoesNotExist):
        read_through(Links).get(pk=link.pk)


@pytest.mark.parametrize("write", LOSE)
@pytest.mark.parametrize("indexes", [[], ["clerk"]], ids=["", "indexed"])
def test_a_lost_link_is_seen_in_cached_results(
    write: Callable[[Clerk, Desk], None],
    indexes: list[str],
    clerk: Clerk,
    any_listener: None,
    django_assert_num_queries: Any,
) -> None:
    policies = {**POLICIES, "testapp.Desk": {}, "testapp.*": {"indexes": indexes}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        desk = Desk.objects.get()
        near = read_through(Desk).filter(clerks=clerk.pk, name="near").cache()
        links = read_through(Links).filter(clerk=clerk.pk, desk=desk.pk).cache()
        assert (near.all().count(), links.all().count()) == (1, 1)
        with django_assert_num_queries(0):
            assert (near.all().count(), links.all().count()) == (1, 1)
        write(clerk, desk)
        assert (near.all().count(), links.all().count()) == (0, 0)


def test_a_new_link_is_seen(clerk: Clerk) -> None:
    pk = Links.objects.get().pk + 1
    with pytest.raises(ObjectDoesNotExist):
        read_through(Links).get(pk=pk)
    clerk.desks.add(Desk.objects.create(name="far"))
    assert read_through(Links).get(pk=pk).clerk_id == clerk.pk


def test_a_link_that_an_admin_inline_saves_is_seen(clerk: Clerk) -> None:
    far = Desk.objects.create(name="far")
    link = Links.objects.get()
    read_through(Links).get(pk=link.pk)
    link.desk = far
    link.save()
    assert read_through(Links).get(pk=link.pk).desk_id == far.pk
    with transaction.atomic():
        made = Links(clerk=clerk, desk=Desk.objects.get(name="near"))
        made.save()
    assert read_through(Links).get(pk=made.pk).desk_id == made.desk_id


def test_links_keep_their_fast_deletes(clerk: Clerk, django_assert_num_queries: Any) -> None:
    # BEGIN, DELETE, COMMIT. The links themselves are never fetched.
    with django_assert_num_queries(3) as context:
        Links.objects.filter(clerk=clerk).delete()
    assert context.captured_queries[1]["sql"].endswith('RETURNING "testapp_clerk_desks"."id"')


# Which models those are


def test_what_is_followed() -> None:
    assert registry.is_tracked(User)
    assert registry.is_tracked(Clerk)
    assert registry.is_tracked(PresentClerk)
    assert registry.is_tracked(Links)
    assert registry.is_tracked(User.groups.through)
    assert registry.is_tracked(Item), "a cached one"
    assert not registry.is_tracked(HeadClerk), "its own table is not its parent's"
    assert not registry.is_tracked(Group)
    assert not registry.is_tracked(Desk)
    assert not registry.is_tracked(Intern)
    assert not registry.is_tracked(Group.permissions.through)
    assert not registry.is_cached(User)
    assert User not in registry.cached_models()


def test_a_model_that_is_not_followed_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"POLICIES'\]: \{'auth.Group': \{\}\}"):
        read_through(Group)


def test_a_family_of_labels_follows_nothing() -> None:
    policies = {"auth.*": {"ttl": 5}, "*": {"ttl": 4}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        assert not registry.is_tracked(User)


def test_it_ends_with_the_setting(django_assert_num_queries: Any) -> None:
    held = User.objects
    with override_settings(CACHEPATTERNS=django_settings.CACHEPATTERNS | {"POLICIES": {}}):
        assert not registry.is_tracked(User)
        assert not registry.is_tracked(User.groups.through)
        for manager in (held, User.objects, User._base_manager, User._default_manager):
            assert type(manager.all()) is QuerySet
        assert type(User.objects) is UserManager
        assert "delete" not in vars(User.groups.through)
        assert not signals.pre_delete.has_listeners(User)
        assert not signals.pre_save.has_listeners(User)
        assert not signals.pre_delete.has_listeners(Desk)
        assert type(Group(pk=1).user_set.all()) is QuerySet
    assert registry.is_tracked(User)
    assert type(Group(pk=1).user_set.all()) is not QuerySet


def test_what_was_cached_before_a_setting_is_not_believed(clerk: Clerk) -> None:
    with override_settings(CACHEPATTERNS=django_settings.CACHEPATTERNS | {"POLICIES": {}}):
        Clerk.objects.update(name="new")
    assert read_through(Clerk).get(pk=clerk.pk).name == "new"


def test_its_reads_are_djangos(clerk: Clerk, listening: Listening) -> None:  # noqa: F811
    user = User.objects.create_user("ada")
    group = Group.objects.create(name="g")
    user.groups.add(group)
    with listening() as trips:
        assert Clerk.objects.get(pk=clerk.pk) == clerk
        assert list(Clerk.objects.filter(pk__in=[clerk.pk])) == [clerk]
        assert list(group.user_set.all()) == [user]
        assert Links.objects.get().clerk == clerk
    assert trips == []


def test_refresh_from_db_reads_the_database(clerk: Clerk, listening: Listening) -> None:  # noqa: F811
    with listening() as trips:
        clerk.refresh_from_db()
        read_through(Clerk).get(pk=clerk.pk)
    assert trips == [["GET"]]


# What a project's managers do goes on


def test_managers_of_its_own(clerk: Clerk) -> None:
    assert isinstance(Clerk.objects, ClerkManager)
    assert isinstance(Clerk.objects.all(), ClerkQuerySet)
    assert Clerk.objects.promote("old") == 1
    found = read_through(Clerk).get(pk=clerk.pk)
    assert (found.grade, found.touched) == (9, True)
    assert list(Clerk.objects.all().senior()) == [clerk]
    assert repr(Clerk.objects.all()).startswith("<ClerkQuerySet [")
    assert clerk.office is not None
    clerk.office.clerks.update(present=False)
    assert not PresentClerk.objects.exists()
    assert not read_through(Clerk).get(pk=clerk.pk).present
    assert read_through(PresentClerk).get(pk=clerk.pk).name == "old", "of all rows"


def test_other_models_of_the_same_manager_are_left_alone() -> None:
    assert type(Intern.objects) is ClerkManager
    assert type(Intern.objects.all()) is ClerkQuerySet
    assert not signals.pre_save.has_listeners(Intern)


async def aget(pk: int) -> User:
    return await read_through(User).aget(pk=pk)


def test_djangos_user_manager(django_assert_num_queries: Any) -> None:
    assert isinstance(User.objects, UserManager)
    user = User.objects.create_user("ada", "Ada@EXAMPLE.com", "pw")
    assert user.email == "Ada@example.com"
    assert User.objects.get_by_natural_key("ada") == user
    permission = Permission.objects.create(
        codename="count", content_type=ContentType.objects.get_for_model(User)
    )
    user.user_permissions.add(permission)
    assert list(User.objects.with_perm(permission, include_superusers=False)) == [user]
    assert read_through(User).get(pk=user.pk).username == "ada"
    with django_assert_num_queries(0):
        assert read_through(User).in_bulk([user.pk]) == {user.pk: user}
        assert async_to_sync(aget)(user.pk) == user
    with django_assert_num_queries(1):
        assert read_through(User).nocache().get(pk=user.pk) == user


def test_lookups_of_a_named_model(django_assert_num_queries: Any) -> None:
    policies = {"auth.user": {"lookups": ["username"]}}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "POLICIES": policies}):
        user = User.objects.create_user("ada")
        for _ in range(2):
            assert read_through(User).get(username="ada") == user
        with django_assert_num_queries(0):
            assert read_through(User).get(username="ada") == user
        User.objects.filter(pk=user.pk).update(username="countess")
        with pytest.raises(User.DoesNotExist):
            read_through(User).get(username="ada")
        assert read_through(User).get(username="countess") == user


def test_pickles(clerk: Clerk) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(Clerk.objects.filter(grade=3), protocol))
        assert isinstance(again, ClerkQuerySet)
        assert list(again) == [clerk]
        assert again.all().update(name=f"new {protocol}") == 1
        assert read_through(Clerk).get(pk=clerk.pk).name == f"new {protocol}"
        assert pickle.loads(pickle.dumps(clerk, protocol)) == clerk
    assert pickle.loads(pickle.dumps(User.objects.all())).model is User
    assert isinstance(copy.copy(Clerk.objects.all()), ClerkQuerySet)
    assert isinstance(copy.deepcopy(Clerk.objects.all()), ClerkQuerySet)
    assert pickle.loads(pickle.dumps(Clerk.objects)) == Clerk.objects


def test_managers_are_to_migrations_what_they_were() -> None:
    assert User.objects.deconstruct() == UserManager().deconstruct()
    assert User.objects == UserManager()
    assert UserManager() == User.objects
    assert User.objects != Clerk.objects
    output = StringIO()
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=output)
    assert "No changes detected" in output.getvalue()


def test_a_save_that_fails_leaves_the_model_cached(
    clerk: Clerk, django_assert_num_queries: Any
) -> None:
    first = User.objects.create_user("first")
    second = User.objects.create_user("second")
    read_through(User).get(pk=second.pk)
    second.username = first.username
    with pytest.raises(IntegrityError):
        second.save()
    read_through(User).get(pk=second.pk)
    with django_assert_num_queries(0):
        assert read_through(User).get(pk=second.pk).username == "second"


# Commands


@pytest.mark.parametrize(
    "write",
    [save, update, bulk_update, update_of_a_related_manager],
)
def test_a_write_is_two_scripts(
    write: Callable[[Clerk], None],
    clerk: Clerk,
    listening: Listening,  # noqa: F811
) -> None:
    assert clerk.office is not None
    with listening() as trips:
        write(clerk)
    assert trips == BEGIN_AND_END


def test_a_hit_is_one_get(
    clerk: Clerk,
    listening: Listening,  # noqa: F811
    django_assert_num_queries: Any,
) -> None:
    with listening() as trips, django_assert_num_queries(0):
        read_through(Clerk).get(pk=clerk.pk)
        list(read_through(Clerk).filter(pk__in=[clerk.pk]))
    assert trips == [["GET"], ["MGET"]]
