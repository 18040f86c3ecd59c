"""The panel of django-debug-toolbar: what a request has read, and nobody else."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from django_cachepatterns import hooks
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.testing import outage
from tests.testapp.models import Item, Shelf, TextRow

from .toolbar import ID, SITE, switched_on

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _toolbar(settings: Any) -> Iterator[None]:
    with switched_on(settings):
        yield
    assert hooks.after_read == ()


@pytest.fixture
def items() -> list[Item]:
    shelf = Shelf.objects.create(name="top")
    names = (("shoe", "it's"), ("boot", "it's"), ("hat", "other"))
    return [
        Item.objects.create(name=name, slug=slug, shelf=shelf, place=at)
        for at, (slug, name) in enumerate(names)
    ]


def query(*items: Item) -> str:
    return "&".join(f"pk={item.pk}" for item in items)


def id_of(response: Any) -> str:
    """The name that the toolbar has given to a request."""
    found = re.search(r'data-request-id="([^"]+)"', response.content.decode())
    assert found is not None
    return found[1]


def stats_of(response: Any) -> dict[str, Any]:
    """What the panel has kept of a request."""
    from debug_toolbar.store import get_store

    found: dict[str, Any] = get_store().panel(id_of(response), ID)
    return found


class Text(HTMLParser):
    """The text of a page, and whether its tags are balanced."""

    VOID = ("br", "meta", "link", "img", "input", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def __contains__(self, text: str) -> bool:
        return text in " ".join(self.words)


def content_of(response: Any) -> str:
    """The panel, as the toolbar's own view renders it from its store."""
    address = f"/__debug__/render_panel/?request_id={id_of(response)}"
    found = Client().get(f"{address}&panel_id={ID}")
    assert found.status_code == 200
    return str(found.json()["content"])


def outcomes(stats: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    return [(each["family"], each["outcomes"]) for each in stats["reads"]]


def test_misses_then_hits(items: list[Item]) -> None:
    address = f"/rows/?{query(*items[:2])}"
    first, second = stats_of(Client().get(address)), stats_of(Client().get(address))
    assert outcomes(first) == [("testapp.item", {"miss": 1})] * 2
    assert (first["keys"], first["served"], first["saved"]) == (2, 0, 0)
    assert outcomes(second) == [("testapp.item", {"hit": 1})] * 2
    assert (second["hit_rate"], second["saved"], second["calls"]) == (100, 2, 2)
    assert 0 < second["milliseconds"] < 10_000
    assert second["reads"][0]["keys"][0].endswith(f":testapp.item:{items[0].pk}")
    assert f'"id" = {items[0].pk}' in second["reads"][0]["statement"]


def test_the_statements_that_were_saved(items: list[Item], django_assert_num_queries: Any) -> None:
    Client().get("/kinds/")
    with django_assert_num_queries(0):
        response = Client().get("/kinds/")
    reads = {each["family"]: [] for each in stats_of(response)["reads"]}  # type: ignore[var-annotated]
    for each in stats_of(response)["reads"]:
        assert each["saved"]
        reads[each["family"]].append(each["statement"])
    rows = reads["testapp.item"]
    first, second = items[0].pk, items[1].pk
    assert any(f'"id" IN ({first}, {second})' in each for each in rows)
    listed, counted = reads["testapp.item:list"]
    assert "\"name\" = 'it''s'" in listed
    assert "LIMIT 5" in listed
    assert counted.startswith("count() of SELECT")
    assert '"stock" >= 7' in counted
    assert reads[f"{SITE}.shouted"] == [f"{SITE}.shouted()"]
    assert reads["toolbar-sizes"] == ["toolbar-sizes()"]


def test_a_lookup_shows_its_query(items: list[Item]) -> None:
    found = stats_of(Client().get("/kinds/"))["reads"]
    assert any("\"slug\" = 'shoe'" in each["statement"] for each in found)


def test_the_sql_is_what_django_runs(items: list[Item], django_assert_num_queries: Any) -> None:
    """All but the question whether the row may be published."""
    with django_assert_num_queries(1) as queries:
        Item.objects.get(pk=items[0].pk)
    ran = queries.captured_queries[0]["sql"]
    said = stats_of(Client().get(f"/rows/?{query(items[0])}"))["reads"][0]["statement"]
    columns, _, rest = said.partition(" FROM ")
    assert ran.startswith(columns)
    assert rest in ran


def test_the_panel_as_it_is_shown(items: list[Item]) -> None:
    Client().get("/kinds/")
    response = Client().get("/kinds/")
    html = content_of(response)
    text = Text(html)
    for said in ("testapp.item:list", "shouted()", "it''s", "saved", "Queries saved", "toolbar"):
        assert said in text
    assert "reads_all_kinds" in html  # The line of the view that has read.
    assert "<script" not in html
    assert " style=" not in html


def test_the_subtitle_of_the_toolbar(items: list[Item]) -> None:
    address = f"/rows/?{query(*items)}"
    Client().get(f"/rows/?{query(*items[:2])}")
    body = Client().get(address).content.decode()
    assert "3 reads, 67 % hits, 2 queries saved" in body
    assert "nothing was read" in Client().get("/nothing/").content.decode()


def test_a_request_that_reads_nothing_has_a_panel() -> None:
    response = Client().get("/nothing/")
    assert stats_of(response)["calls"] == 0
    assert "No cached model, list, function or value was read" in Text(content_of(response))


def test_what_a_page_says_is_escaped(items: list[Item]) -> None:
    TextRow.objects.create(code="<b>&")
    html = content_of(Client().get("/text/?pk=%3Cb%3E%26"))
    assert "<b>" not in html


def test_a_long_key_is_shown_as_what_it_is(items: list[Item]) -> None:
    code = "a key with spaces " * 8
    TextRow.objects.create(code=code)
    (read,) = stats_of(Client().get("/text/", {"pk": code}))["reads"]
    assert "\"code\" = '?'" in read["statement"]


def test_a_server_that_is_away_is_an_outage(items: list[Item]) -> None:
    with outage():
        stats = stats_of(Client().get(f"/rows/?{query(items[0])}"))
    assert outcomes(stats) == [("testapp.item", {"outage": 1})]
    assert stats["saved"] == 0


def test_requests_at_the_same_time_have_their_own(items: list[Item]) -> None:
    found: dict[int, Any] = {}

    def ask(at: int) -> None:
        found[at] = Client().get(f"/together/?{query(items[at])}")
        connections.close_all()

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for at in range(2):
        (read,) = stats_of(found[at])["reads"]
        assert read["keys"][0].endswith(f":{items[at].pk}")


def test_coroutines_at_the_same_time_have_their_own(items: list[Item]) -> None:
    async def ask() -> list[Any]:
        client = AsyncClient()
        found = await asyncio.gather(
            *(client.get(f"/loop/?{query(item, item)}") for item in items),
        )
        await sync_to_async(connections.close_all)()
        return found

    for item, response in zip(items, asyncio.run(ask()), strict=True):
        stats = stats_of(response)
        rows = [each for each in stats["reads"] if each["family"] == "testapp.item"]
        assert [each["keys"][0].rpartition(":")[2] for each in rows] == [str(item.pk)] * 2
        families = [each["family"].rpartition(".")[2] for each in stats["reads"]]
        assert sorted(families) == ["item", "item", "shouted", "whispered"]
        assert '"id" =' in rows[0]["statement"]


def test_a_view_that_fails_leaves_nobody_listening(items: list[Item]) -> None:
    with pytest.raises(RuntimeError):
        Client().get("/fails/")
    assert hooks.after_read == ()


def test_a_panel_that_is_switched_off_listens_to_nothing(items: list[Item]) -> None:
    client = Client()
    client.cookies[f"djdt{ID}"] = "off"
    response = client.get(f"/rows/?{query(items[0])}")
    assert stats_of(response) == {}


def test_times_of_a_list_and_its_rows_are_not_added_up(items: list[Item]) -> None:
    Client().get("/kinds/")
    stats = stats_of(Client().get("/kinds/"))
    each = [read["milliseconds"] or 0 for read in stats["reads"]]
    assert max(each) <= stats["milliseconds"] < sum(each)


def test_a_list_and_its_rows_save_one_query(items: list[Item]) -> None:
    Client().get("/list/")
    stats = stats_of(Client().get("/list/"))
    parts = {each["family"]: (each["is_part"], each["saved"]) for each in stats["reads"]}
    assert parts == {"testapp.item": (True, True), "testapp.item:list": (False, True)}
    assert (stats["calls"], stats["saved"], stats["keys"]) == (1, 1, 4)


def test_a_list_that_lacks_a_row_saves_none(items: list[Item]) -> None:
    Client().get("/list/")
    store = rows_of(Item).store  # type: ignore[union-attr]
    store.drop([rows_of(Item).entry_key(items[0].pk)])  # type: ignore[union-attr]
    stats = stats_of(Client().get("/list/"))
    assert (stats["calls"], stats["saved"]) == (1, 0)


def forget_where_lookups_lead() -> None:
    """As in a process that has not read them yet."""
    for lookup in rows_of(Item).lookups.values():  # type: ignore[union-attr]
        lookup._remembered.clear()


def test_a_lookup_and_its_row_save_one_query(items: list[Item]) -> None:
    Client().get("/slug/")
    forget_where_lookups_lead()
    stats = stats_of(Client().get("/slug/"))
    assert [(each["is_part"], each["saved"]) for each in stats["reads"]] == [
        (False, True),
        (True, True),
    ]
    assert (stats["calls"], stats["saved"], stats["keys"]) == (1, 1, 2)


def test_a_lookup_that_lacks_its_row_saves_none(items: list[Item]) -> None:
    Client().get("/slug/")
    forget_where_lookups_lead()
    store = rows_of(Item).store  # type: ignore[union-attr]
    store.drop([rows_of(Item).entry_key(items[0].pk)])  # type: ignore[union-attr]
    stats = stats_of(Client().get("/slug/"))
    assert (stats["calls"], stats["saved"], stats["keys"]) == (1, 0, 2)


def test_the_panel_s_own_work_is_not_in_the_times(items: list[Item], monkeypatch: Any) -> None:
    from django_cachepatterns.contrib.debug_toolbar import recording

    def slowly(*args: Any) -> str:
        time.sleep(0.2)
        return "a statement"

    Client().get("/list/")
    monkeypatch.setattr(recording, "instead", slowly)
    stats = stats_of(Client().get("/list/"))
    assert len(stats["reads"]) == 2
    # Of the 400 ms that the panel takes, 200 lie in the time of the list.
    assert all(each["milliseconds"] < 200 for each in stats["reads"])
    assert stats["milliseconds"] < 200


def test_the_browser_is_told_of_the_time(items: list[Item]) -> None:
    response = Client().get(f"/rows/?{query(items[0])}")
    assert "CachePatternsPanel_cached_reads" in response.headers["Server-Timing"]
