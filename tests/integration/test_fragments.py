"""`{% cached %}`: rendered once, never shown to whom it is not meant for."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connections, transaction
from django.template import Context, Engine, Template, TemplateSyntaxError
from django.template.loader import render_to_string
from django.test import override_settings
from django.utils import timezone, translation
from django.utils.safestring import SafeString

from django_cachepatterns import CachePolicy, invalidate
from django_cachepatterns.conf import config
from django_cachepatterns.templatetags.cachepatterns import invalidate_fragment
from example_project.servers import Valkey
from tests.testapp.models import Basket, Item

pytestmark = pytest.mark.django_db(transaction=True)


class Counter:
    """Counts how often it was rendered."""

    def __init__(self) -> None:
        self.count = 0

    def __str__(self) -> str:
        self.count += 1
        return str(self.count)


@pytest.fixture
def n() -> Counter:
    return Counter()


def render(source: str, /, **context: Any) -> str:
    return Template("{% load cachepatterns %}" + source).render(Context(context))


def test_it_is_rendered_once(n: Counter, redis_client: Any) -> None:
    source = '{% cached 300 "sidebar" %}<b>{{ n }}</b>{% endcached %}'
    assert [render(source, n=n), render(source, n=n)] == ["<b>1</b>", "<b>1</b>"]
    root = config().key_space().root
    (key,) = redis_client.scan_iter(f"{root}:fragment:sidebar:*UTC", count=1000)
    assert 260_000 < redis_client.pttl(key) <= 300_000


def test_it_varies_on_values(n: Counter) -> None:
    source = '{% cached 300 "sidebar" user.pk page %}{{ n }}{% endcached %}'

    def shown(pk: Any, page: Any) -> str:
        return render(source, n=n, user={"pk": pk}, page=page)

    combinations = [(1, 1), (1, 2), (2, 1), ("1", 1), (None, 1), (11, ""), (1, "1")]
    first = [shown(*each) for each in combinations]
    assert first == ["1", "2", "3", "4", "5", "6", "7"]
    assert [shown(*each) for each in combinations] == first


def test_another_body_is_another_fragment(n: Counter) -> None:
    """After a deploy, or where two templates took one name."""
    one = '{% cached 300 "sidebar" %}one {{ n }}{% endcached %}'
    other = '{% cached 300 "sidebar" %}other {{ n }}{% endcached %}'
    assert [render(one, n=n), render(other, n=n)] == ["one 1", "other 2"]
    assert [render(one, n=n), render(other, n=n)] == ["one 1", "other 2"]
    assert render("\n\n" + one, n=n) == "\n\none 1", "wherever it stands"


@pytest.mark.parametrize("ttl", [5, 0.5, timedelta(minutes=1), CachePolicy(ttl=60, codec="json")])
def test_the_ttl_may_be_anything_that_is_one(n: Counter, ttl: Any) -> None:
    source = '{% cached ttl "sidebar" %}{{ n }}{% endcached %}'
    assert [render(source, n=n, ttl=ttl), render(source, n=n, ttl=ttl)] == ["1", "1"]


def test_escaping_is_kept() -> None:
    source = '{% cached 300 "x" %}<b>{{ text }}</b>{% endcached %}'
    for _ in range(2):
        found = render(source, text="<i>")
        assert found == "<b>&lt;i&gt;</b>"
        assert isinstance(found, SafeString)
    inside = "{% autoescape off %}" + source + "{% endautoescape %}"
    assert render(inside, text="<i>") == "<b><i></b>", "a fragment of its own"
    assert render(source, text="<i>") == "<b>&lt;i&gt;</b>"


def test_a_fragment_in_a_fragment(n: Counter) -> None:
    source = (
        '{% cached 300 "outer" %}{{ n }}'
        '{% cached 300 "inner" a %}({{ n }}){% endcached %}{% endcached %}'
    )
    assert render(source, n=n, a=1) == "1(2)"
    invalidate_fragment("outer")
    assert render(source, n=n, a=1) == "3(2)"
    invalidate_fragment("inner", 1)
    assert render(source, n=n, a=1) == "3(2)", "the outer one holds it"


def test_in_loops_and_conditions(n: Counter) -> None:
    source = (
        '{% for each in numbers %}{% cached 300 "row" each %}'
        "{% if each %}{{ each }}:{{ n }} {% endif %}{% endcached %}{% endfor %}"
    )
    assert render(source, n=n, numbers=[1, 2, 1]) == "1:1 2:2 1:1 "


@pytest.fixture
def templates(settings: Any) -> Any:
    """Makes templates that can be included and extended."""

    def make(**sources: str) -> None:
        loaded = {
            f"{name}.html": "{% load cachepatterns %}" + source
            if "{% extends" not in source
            else source
            for name, source in sources.items()
        }
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [("django.template.loaders.locmem.Loader", loaded)],
                },
            }
        ]

    return make


def test_in_included_templates(templates: Any, n: Counter) -> None:
    templates(
        page='{% include "part.html" with a=1 %}{% include "part.html" with a=2 %}',
        part='{% cached 300 "part" a %}{{ a }}:{{ n }} {% endcached %}',
    )
    assert [render_to_string("page.html", {"n": n}) for _ in range(2)] == ["1:1 2:2 "] * 2


def test_in_templates_that_extend(templates: Any, n: Counter) -> None:
    templates(
        base="<{% block content %}{% endblock %}>",
        page='{% extends "base.html" %}{% load cachepatterns %}{% block content %}'
        '{% cached 300 "part" %}{{ n }}{% endcached %}{% endblock %}',
    )
    assert [render_to_string("page.html", {"n": n}) for _ in range(2)] == ["<1>"] * 2


def test_blocks_in_a_fragment_are_those_of_the_template_that_fills_them(
    templates: Any, n: Counter
) -> None:
    templates(
        base='{% cached 300 "page" %}<{% block title %}base{% endblock %} {{ n }}>{% endcached %}',
        one='{% extends "base.html" %}{% block title %}one{% endblock %}',
        other='{% extends "base.html" %}{% block title %}other{% endblock %}',
        third='{% extends "one.html" %}',
    )
    names = ("one", "other", "base", "one", "other", "base")
    shown = [render_to_string(f"{name}.html", {"n": n}) for name in names]
    assert shown == ["<one 1>", "<other 2>", "<base 3>"] * 2
    assert render_to_string("third.html", {"n": n}) == "<one 1>"


def test_blocks_that_a_nameless_template_fills_are_not_cached(templates: Any, n: Counter) -> None:
    templates(base='{% cached 300 "page" %}{% block a %}{% endblock %}{% endcached %}')
    for text in ("one", "two"):
        source = '{% extends "base.html" %}{% block a %}' + text + "{{ n }}{% endblock %}"
        assert Template(source).render(Context({"n": n})).startswith(text)


def test_each_language_and_time_zone_has_its_own(n: Counter) -> None:
    source = '{% load tz %}{% cached 300 "x" %}{{ n }}{% endcached %}'
    seen = []
    for _ in range(2):
        for language, zone in (("en", "UTC"), ("de", "UTC"), ("de", "Europe/Berlin")):
            with translation.override(language), timezone.override(zone):
                seen.append(render(source, n=n))
    assert seen == ["1", "2", "3"] * 2
    with override_settings(USE_I18N=False, USE_TZ=False), translation.override("fr"):
        assert render(source, n=n) == "4"
    with override_settings(USE_I18N=False, USE_TZ=False), translation.override("it"):
        assert render(source, n=n) == "4"


def test_a_fragment_may_be_the_same_everywhere(n: Counter) -> None:
    source = '{% cached 300 "x" localized=False %}{{ n }}{% endcached %}'
    for language in ("en", "de"):
        with translation.override(language):
            assert render(source, n=n) == "1"


# Invalidation


def test_a_fragment_is_invalidated_by_its_values_or_as_a_whole(n: Counter) -> None:
    source = '{% cached 300 "x" a %}{{ n }}{% endcached %}'

    def shown() -> list[str]:
        return [render(source, n=n, a=a) for a in (1, 2)]

    assert shown() == ["1", "2"]
    with translation.override("de"):
        assert shown() == ["3", "4"]
    invalidate_fragment("x", 1)
    assert shown() == ["5", "2"]
    with translation.override("de"):
        assert shown() == ["6", "4"], "in every language"
    invalidate_fragment("x")
    assert shown() == ["7", "8"]
    invalidate_fragment("y")
    assert shown() == ["7", "8"]


def test_a_fragment_without_values_is_invalidated(n: Counter) -> None:
    source = '{% cached 300 "x" %}{{ n }}{% endcached %}'
    assert render(source, n=n) == "1"
    invalidate_fragment("x")
    assert render(source, n=n) == "2"


@pytest.mark.parametrize("tags", ["catalog, menu", ["menu", "catalog"], ("catalog",)])
def test_tags_make_it_stale(n: Counter, tags: Any) -> None:
    source = '{% cached 300 "x" tags=tags %}{{ n }}{% endcached %}'
    assert [render(source, n=n, tags=tags), render(source, n=n, tags=tags)] == ["1", "1"]
    invalidate("catalog")
    assert [render(source, n=n, tags=tags), render(source, n=n, tags=tags)] == ["2", "2"]


def test_tables_make_it_stale(django_assert_num_queries: Any) -> None:
    source = (
        '{% cached 300 "x" depends_on="testapp.Item, testapp.Shelf" %}'
        "{% for each in items %}{{ each.name }}{% endfor %}{% endcached %}"
    )

    def shown() -> str:
        return render(source, items=Item.objects.order_by("name"))

    assert shown() == ""
    item = Item.objects.create(name="a", slug="a")
    assert shown() == "a"
    with django_assert_num_queries(0):
        assert shown() == "a"
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(name="b")
        assert shown() == "b"
    assert shown() == "b"
    assert render(source.replace('"testapp.Item, testapp.Shelf"', "models"), models=[Item]) == ""


# Stale text


def test_while_one_renders_the_others_see_the_old_text() -> None:
    source = '{% cached 300 "x" soft_ttl=0.05 %}{{ text }}{% endcached %}'
    rendering, go_on = threading.Event(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            rendering.set()
            assert go_on.wait(20)
            return "new"

    shown: list[str] = []

    def refresh() -> None:
        try:
            shown.append(render(source, text=Slow()))
        finally:
            connections.close_all()

    assert render(source, text="old") == "old"
    time.sleep(0.06)  # until it is stale
    one = threading.Thread(target=refresh)
    one.start()
    assert rendering.wait(20)
    assert render(source, text="must not be rendered") == "old"
    go_on.set()
    one.join(20)
    assert shown == ["new"]
    assert render(source, text="must not be rendered") == "new"


def test_a_herd_renders_once() -> None:
    source = '{% cached 300 "x" %}{{ text }}{% endcached %}'
    calls = itertools.count(1)

    class Slow:
        def __str__(self) -> str:
            time.sleep(0.1)  # the work
            return str(next(calls))

    shown: list[str] = []
    text = Slow()
    threads = [
        threading.Thread(target=lambda: shown.append(render(source, text=text))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert shown == ["1"] * 10


# Without a cache


def test_it_can_be_switched_off(n: Counter) -> None:
    source = '{% cached 300 "x" %}{{ n }}{% endcached %}'
    with override_settings(CACHEPATTERNS={**config().raw, "ENABLED": False}):
        assert [render(source, n=n), render(source, n=n)] == ["1", "2"]


def test_with_the_cache_killed_it_is_rendered(n: Counter, own_valkey: Valkey) -> None:
    source = '{% cached 300 "x" %}{{ n }}{% endcached %}'
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url}}
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1}):
        assert [render(source, n=n), render(source, n=n)] == ["1", "1"]
        own_valkey.kill()
        assert [render(source, n=n), render(source, n=n)] == ["2", "3"]
        invalidate_fragment("x")
        own_valkey.start()
        assert [render(source, n=n), render(source, n=n)] == ["4", "4"]


def test_what_the_body_raises_reaches_the_page() -> None:
    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError

    source = '{% cached 300 "x" %}{{ text }}{% endcached %}'
    with pytest.raises(ZeroDivisionError):
        render(source, text=Broken())
    assert render(source, text="fine") == "fine"


# Faults


@pytest.mark.parametrize(
    ("tag", "fault"),
    [
        ("", "it needs a ttl and a name"),
        ("300", "it needs a ttl and a name"),
        ('300 "x" tag="a"', "tag= is not known. Use tags, depends_on"),
        ('300 "x" tags="a" 5', "5 stands after a keyword"),
        ('"soon" "x"', "'soon' is no ttl"),
        ('none "x"', "None is no ttl"),
        ('yes "x"', "True is no ttl"),
        ('0 "x"', "ttl is 0"),
        ("300 nothing", "nothing is not there. Correct the name"),
        ("300 five", "the name five is 5. Quote a text"),
        ('300 ""', "Quote a text"),
        ('300 "x" user.pkk', r"user\.pkk is not there. Correct the name, or write user\.pkk\|def"),
        ('300 "x" usr.pk', r"usr\.pk is not there"),
        ('300 "x" thing', r"fragment 'x': value 1 that it varies on is a .*Thing.*cache_key"),
        ('300 "x" user', "primary key"),
        ('300 "x" tags=five', "tags is 5. Give a text with commas"),
        ('300 "x" tags=fives', "tags has 5. Give texts"),
        ('300 "x" depends_on="Item"', "depends_on has 'Item'"),
        ('300 "x" depends_on="testapp.Nowhere"', r"testapp\.Nowhere"),
        ('300 "x" depends_on="testapp.Basket"', r"testapp\.Basket, whose writes nobody follows"),
        ('300 "x" soft_ttl=500', "soft_ttl is 500"),
        ('300 "x" stampede="never"', "stampede is 'never'"),
        ('300 "x" stampede="stale_while_revalidate"', "there is no soft_ttl"),
    ],
)
def test_a_fault_is_named_with_its_remedy(tag: str, fault: str) -> None:
    class Thing: ...

    context = {
        "none": None,
        "yes": True,
        "five": 5,
        "fives": [5],
        "thing": Thing(),
        "user": AnonymousUser(),
    }
    with pytest.raises(TemplateSyntaxError, match=fault) as caught:
        render("{% cached " + tag + " %}{% endcached %}", **context)
    assert str(caught.value).startswith("{% cached %}: ")


def test_a_fault_in_the_body_is_the_bodys_own() -> None:
    source = '{% cached 300 "x" %}{% cached 0 "y" %}{% endcached %}{% endcached %}'
    with pytest.raises(TemplateSyntaxError, match=r"^\{% cached %\}: fragment 'y': ttl is 0"):
        render(source)
    with pytest.raises(TemplateSyntaxError, match="endcached"):
        render('{% cached 300 "x" %}')


def test_what_a_dict_lacks_is_none(n: Counter) -> None:
    """`request.GET.page` on the first page."""
    source = '{% cached 300 "x" get.page a|default:"" %}{{ n }}{% endcached %}'
    assert [render(source, n=n, get={}), render(source, n=n, get={"page": None})] == ["1", "1"]
    assert render(source, n=n, get={"page": "2"}) == "2"


def test_an_untracked_model_in_a_list_is_refused() -> None:
    with pytest.raises(TemplateSyntaxError, match=r"testapp\.Basket"):
        render('{% cached 300 "x" depends_on=models %}{% endcached %}', models=[Basket])


def test_the_tag_can_be_a_builtin(n: Counter) -> None:
    engine = Engine(builtins=["django_cachepatterns.templatetags.cachepatterns"])
    template = engine.from_string('{% cached 300 "x" %}{{ n }}{% endcached %}')
    assert [template.render(Context({"n": n})) for _ in range(2)] == ["1", "1"]
