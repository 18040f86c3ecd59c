"""Writes that reach a row through a relation, and parents and children."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

from django_cachepatterns.stores import RedisStore
from tests.testapp.models import (
    Basket,
    Building,
    ByName,
    Cafe,
    Detail,
    Item,
    Label,
    Place,
    School,
    Shelf,
    Tagging,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def item() -> Item:
    return Item.objects.create(
        name="one", slug="one", shelf=Shelf.objects.create(name="top"), place=1
    )


def cached(model: Any, pk: Any) -> Any:
    model.objects.get(pk=pk)
    return model.objects.get(pk=pk)


def is_gone(model: Any, pk: Any) -> bool:
    try:
        model.objects.get(pk=pk)
    except model.DoesNotExist:
        return True
    return False


def test_cascades(item: Item) -> None:
    labels = [Label.objects.create(item=item, text=str(n)) for n in range(3)]
    Detail.objects.create(item=item)
    by_name = ByName.objects.create(item=item)
    for model, pk in [(Label, labels[0].pk), (Detail, item.pk), (ByName, by_name.pk)]:
        cached(model, pk)
    pk = item.pk
    cached(Item, pk)
    item.delete()
    assert is_gone(Item, pk)
    assert is_gone(Label, labels[0].pk)
    assert is_gone(Detail, pk)
    assert is_gone(ByName, by_name.pk)


def test_a_cascade_marks_in_few_round_trips(item: Item, monkeypatch: Any) -> None:
    Label.objects.bulk_create([Label(item=item, text=str(n)) for n in range(200)])
    pks = list(Label.objects.values_list("pk", flat=True))
    list(Label.objects.filter(pk__in=pks))
    calls: list[int] = []
    for name in ("begin_write", "post_end_write"):
        plain = getattr(RedisStore, name)

        def counted(store: Any, keys: Any, *args: Any, plain: Any = plain) -> Any:
            calls.append(len(keys))
            return plain(store, keys, *args)

        monkeypatch.setattr(RedisStore, name, counted)
    item.delete()
    # The rows and the tags of both tables.
    assert calls == [203, 203]
    assert is_gone(Label, pks[0])
    assert is_gone(Label, pks[-1])


@pytest.mark.parametrize("how", ["instance", "queryset"])
def test_set_null(item: Item, how: str) -> None:
    assert cached(Item, item.pk).shelf_id is not None
    assert Item.objects.get(shelf=item.shelf_id, place=1) == item
    shelf, shelf_pk = item.shelf, item.shelf_id
    assert shelf is not None
    if how == "instance":
        shelf.delete()
    else:
        Shelf.objects.all().delete()
    assert Item.objects.get(pk=item.pk).shelf_id is None
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(shelf=shelf_pk, place=1)


def test_related_managers(item: Item) -> None:
    shelf = Shelf.objects.create(name="low")
    assert cached(Item, item.pk).shelf_id != shelf.pk
    shelf.items.add(item)
    assert Item.objects.get(pk=item.pk).shelf_id == shelf.pk
    shelf.items.remove(item)
    assert Item.objects.get(pk=item.pk).shelf_id is None
    shelf.items.set([item])
    assert Item.objects.get(pk=item.pk).shelf_id == shelf.pk
    shelf.items.clear()
    assert Item.objects.get(pk=item.pk).shelf_id is None


def test_rows_of_a_many_to_many(item: Item) -> None:
    basket = Basket.objects.create()
    basket.things.add(item, through_defaults={"note": "a"})
    tagging = Tagging.objects.get(pk=Tagging.objects.values_list("pk", flat=True).get())
    assert cached(Tagging, tagging.pk).note == "a"
    basket.things.remove(item)
    assert is_gone(Tagging, tagging.pk)
    for absent in range(1, 6):
        is_gone(Tagging, tagging.pk + absent)
    basket.things.set([item])
    pk = Tagging.objects.values_list("pk", flat=True).get()
    assert not is_gone(Tagging, pk)
    basket.things.clear()
    assert is_gone(Tagging, pk)


def test_a_child_holds_its_parents_columns() -> None:
    cafe = Cafe.objects.create(name="old", seats=3)
    for write in (
        lambda: Place.objects.filter(pk=cafe.pk).update(name="a"),
        lambda: Place(pk=cafe.pk, name="b").save(),
        lambda: Cafe.objects.filter(pk=cafe.pk).update(name="c"),
        lambda: Cafe.objects.filter(pk=cafe.pk).update(name="d", seats=9),
        lambda: Cafe.objects.filter(name="d").update(seats=10),
        lambda: Cafe(pk=cafe.pk, place_ptr_id=cafe.pk, name="e", seats=4).save(),
        lambda: Place.objects.bulk_update([Place(pk=cafe.pk, name="f")], ["name"]),
    ):
        cached(Cafe, cafe.pk)
        cached(Place, cafe.pk)
        write()
        row = Cafe.objects.nocache().get(pk=cafe.pk)
        assert Cafe.objects.get(pk=cafe.pk).name == row.name == Place.objects.get(pk=cafe.pk).name
        assert Cafe.objects.get(pk=cafe.pk).seats == row.seats
    assert Place.objects.get(name="f").pk == cafe.pk
    cafe.delete()
    assert is_gone(Cafe, cafe.pk)
    assert is_gone(Place, cafe.pk)


def test_lookups_over_the_tables_of_parent_and_child() -> None:
    cafe = Cafe.objects.create(name="old", seats=3)

    def found(**values: Any) -> bool:
        try:
            return Cafe.objects.get(**values).pk == cafe.pk
        except Cafe.DoesNotExist:
            return False

    assert found(name="old", seats=3)
    assert not found(name="new", seats=3)
    assert not found(name="new")
    Place.objects.filter(pk=cafe.pk).update(name="new")
    assert found(name="new", seats=3)
    assert found(name="new")
    assert not found(seats=5)
    assert not found(name="new", seats=5)
    Cafe.objects.filter(pk=cafe.pk).update(seats=5)
    assert found(seats=5)
    assert found(name="new", seats=5)
    assert not found(name="newer", seats=6)
    Cafe.objects.filter(pk=cafe.pk).update(seats=6, name="newer")
    assert found(name="newer", seats=6)
    assert not found(name="last")
    Place(pk=cafe.pk, name="last").save()
    assert found(name="last")


def test_a_child_of_a_parent_that_is_not_cached() -> None:
    school = School.objects.create(city="old", pupils=3)
    assert cached(School, school.pk).city == "old"
    building = Building.objects.get(pk=school.pk)
    building.city = "new"
    building.save()
    assert School.objects.get(pk=school.pk).city == "new"
    building.delete()
    assert is_gone(School, school.pk)


def test_a_rolled_back_cascade(item: Item, elsewhere: Any) -> None:
    label = Label.objects.create(item=item, text="x")
    cached(Label, label.pk)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Item.objects.get(pk=item.pk).delete()
        assert is_gone(Label, label.pk)
        assert not elsewhere(is_gone, Label, label.pk)
        raise ZeroDivisionError
    assert Label.objects.get(pk=label.pk).text == "x"
    assert not connection.in_atomic_block


def test_a_row_that_moved_to_another_key(item: Item) -> None:
    pk = item.pk
    cached(Item, pk)
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=pk + 1000)
    Item.objects.filter(pk=pk).update(id=pk + 1000)
    assert is_gone(Item, pk)
    assert Item.objects.get(pk=pk + 1000).name == "one"
    assert Item.objects.get(slug="one").pk == pk + 1000


def test_refresh_of_a_model_without_the_mixin(django_assert_num_queries: Any) -> None:
    school = School.objects.create(city="old", pupils=3)
    cached(School, school.pk)
    with django_assert_num_queries(1):
        school.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_school SET pupils = 4")
    school.refresh_from_db()
    assert school.pupils == 4
