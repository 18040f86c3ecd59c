import pytest
from django.core.management import call_command
from tests.testapp.models import Item, Label, Everything
from django_cachepatterns import metrics

pytestmark = pytest.mark.django_db(transaction=True, databases=["default","other"])

def test_checks():
    call_command("check")

def test_hit(django_assert_num_queries):
    item = Item.objects.create(name="a", slug="a")
    with django_assert_num_queries(1):
        assert Item.objects.get(pk=item.pk).name == "a"
    with django_assert_num_queries(0):
        again = Item.objects.get(pk=item.pk)
    assert again == item and again.__dict__.keys() == item.__dict__.keys()
    item.name = "b"; item.save()
    assert Item.objects.get(pk=item.pk).name == "b"
    print(metrics.snapshot())
    with django_assert_num_queries(0):
        Item.objects.get(pk=item.pk)
    with django_assert_num_queries(1):
        Item.objects.get(slug="a")
    with django_assert_num_queries(0):
        Item.objects.get(slug="a")
    label = Label.objects.create(item=item, text="x")
    label = Label.objects.get(pk=label.pk)
    with django_assert_num_queries(0):
        assert label.item.name == "b"
    with django_assert_num_queries(0):
        assert list(Item.objects.filter(pk__in=[item.pk]))[0].name == "b"
    Item.objects.update(stock=5)
    assert Item.objects.get(pk=item.pk).stock == 5
