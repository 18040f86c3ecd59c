"""Rows that the database refuses: kept, shown, retried, discarded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from django_cachepatterns.admin import databases
from django_cachepatterns.admin.dead_letters import readable
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.write_behind.dead_letters import Outcome, retry, waiting
from django_cachepatterns.write_behind.records import DeadLetter, LedgerEntry
from example_project.shop.models import Category
from tests.testapp.models import Page

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ROWS = 10_000
MOST = 32_767
"""The largest value of a small integer in PostgreSQL."""


def likes() -> dict[int, int | None]:
    return dict(Page.objects.nocache().order_by("pk").values_list("pk", "likes"))


@pytest.fixture
def page() -> Page:
    return Page.objects.create(title="a", likes=MOST)


@pytest.fixture
def letter(page: Page) -> DeadLetter:
    """A like too many."""
    Page.like_counter.increment(page.pk, 2)
    assert Page.like_counter.flush().refused == 1
    return DeadLetter.objects.get()


def mend(page: Page, value: int = 10) -> None:
    Page.objects.filter(pk=page.pk).update(likes=value)


def test_one_poison_row_among_ten_thousand() -> None:
    pages = Page.objects.bulk_create(Page(title="a", likes=1) for _ in range(ROWS))
    poisoned = pages[ROWS // 3]
    mend(poisoned, MOST)
    Page.like_counter.increment_many({page.pk: 2 for page in pages})
    done = Page.like_counter.flush()
    assert (done.rows, done.refused, done.dropped) == (ROWS - 1, 1, 0)
    assert likes() == {page.pk: MOST if page.pk == poisoned.pk else 3 for page in pages}
    letter = DeadLetter.objects.get()
    assert (letter.buffer, letter.member, letter.payload, letter.attempts) == (
        "testapp.Page.likes",
        str(poisoned.pk),
        "2",
        1,
    )
    assert "out of range" in letter.reason
    assert Page.like_counter.pending() == 0
    mend(poisoned, 10)
    assert retry(letter).outcome is Outcome.WRITTEN
    assert likes()[poisoned.pk] == 12
    assert retry(letter).outcome is Outcome.GONE
    assert likes()[poisoned.pk] == 12
    assert not DeadLetter.objects.exists()


def test_a_row_that_a_constraint_refuses(page: Page) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE testapp_page ADD CONSTRAINT few CHECK (views < 10)")
        try:
            other = Page.objects.create(title="b")
            Page.view_counter.increment_many({page.pk: 10, other.pk: 9})
            assert Page.view_counter.flush().refused == 1
        finally:
            cursor.execute("ALTER TABLE testapp_page DROP CONSTRAINT few")
    letter = DeadLetter.objects.get()
    assert "few" in letter.reason
    assert retry(letter).outcome is Outcome.WRITTEN
    assert list(Page.objects.nocache().order_by("pk").values_list("views", flat=True)) == [10, 9]


def test_a_retry_that_is_refused_leaves_the_letter_with_the_new_reason(
    page: Page, letter: DeadLetter
) -> None:
    DeadLetter.objects.update(reason="old")
    outcome, reason = retry(letter)
    assert outcome is Outcome.REFUSED
    letter.refresh_from_db()
    assert letter.attempts == 2
    assert letter.reason == reason
    assert "out of range" in reason
    assert likes() == {page.pk: MOST}


def test_a_retry_is_seen_by_readers(page: Page, letter: DeadLetter) -> None:
    mend(page)
    assert Page.objects.get(pk=page.pk).likes == 10
    retry(letter)
    assert Page.objects.get(pk=page.pk).likes == 12


def test_a_retry_for_a_row_that_is_gone_drops_the_letter(page: Page, letter: DeadLetter) -> None:
    page.delete()
    assert retry(letter).outcome is Outcome.DROPPED
    assert not DeadLetter.objects.exists()


def test_a_letter_that_cannot_be_read_stays(page: Page, letter: DeadLetter) -> None:
    mend(page)
    DeadLetter.objects.update(payload="two")
    letter.refresh_from_db()
    outcome, reason = retry(letter)
    assert outcome is Outcome.REFUSED
    assert "cannot be read" in reason
    letter.refresh_from_db()
    assert (letter.attempts, letter.reason) == (2, reason)
    assert likes() == {page.pk: 10}


def test_a_letter_of_a_buffer_that_is_no_more(letter: DeadLetter) -> None:
    letter.buffer = "testapp.Page.loves"
    with pytest.raises(PolicyError, match="Use one of:"):
        retry(letter)


def test_of_those_who_retry_at_the_same_time_one_writes(page: Page, letter: DeadLetter) -> None:
    mend(page)
    barrier = threading.Barrier(4)
    found: list[Outcome] = []

    def target() -> None:
        mine = DeadLetter.objects.get(pk=letter.pk)
        barrier.wait()
        found.append(retry(mine).outcome)
        connections.close_all()

    threads = [threading.Thread(target=target) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.value for each in found) == ["gone", "gone", "gone", "written"]
    assert likes() == {page.pk: 12}


def test_letters_are_looked_for_in_the_databases_of_their_models(
    page: Page, letter: DeadLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(letter)
    assert [found.db for found in waiting(["testapp.Page.likes"])] == ["default"]
    monkeypatch.setattr(type(Page.view_counter), "alias", "other")
    assert [[each.member for each in found] for found in waiting(["testapp.Page.likes"])] == [
        ["77"]
    ]


def elsewhere(letter: DeadLetter) -> DeadLetter:
    """A letter in the other database, of the same primary key as one in the default database."""
    other = DeadLetter(
        pk=letter.pk,
        buffer=letter.buffer,
        batch=uuid4(),
        member="77",
        payload="5",
        reason="of the other database",
        refused_at=timezone.now(),
    )
    other.save(using="other", force_insert=True)
    return other


# The command


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("retry_dead_letters", *arguments, stdout=out, stderr=out, skip_checks=True)
    return out.getvalue()


def test_the_command_lists(page: Page, letter: DeadLetter) -> None:
    said = command("--list")
    assert f"testapp.Page.likes of {page.pk}: 2" in said
    assert "\n    refused once, DataError: " in said
    DeadLetter.objects.update(reason="IntegrityError: wrong\nDETAIL: no", attempts=2)
    assert "\n    refused 2 times, IntegrityError: wrong\n    DETAIL: no\n" in command("--list")
    assert DeadLetter.objects.count() == 1
    assert command("--list", "testapp.Page.views") == "There are no dead letters.\n"


def test_the_command_retries(page: Page, letter: DeadLetter) -> None:
    with pytest.raises(CommandError, match="Not written: 1 of 1") as failed:
        command()
    assert failed.value.returncode == 1
    mend(page)
    assert command("testapp.page.likes").splitlines() == [
        f"testapp.Page.likes of {page.pk}: written",
        "1 written, 0 refused, 0 dropped, 0 gone",
    ]
    assert likes() == {page.pk: 12}
    assert command() == "There are no dead letters.\n"


def test_the_command_says_so_in_one_json_document(page: Page, letter: DeadLetter) -> None:
    (listed,) = json.loads(command("--list", "--json"))["letters"]
    assert (listed["buffer"], listed["member"]) == (letter.buffer, letter.member)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("retry_dead_letters", "--json", stdout=out, stderr=StringIO())
    report = json.loads(out.getvalue())
    assert report["counts"] == {"refused": 1}
    assert "Not written: 1 of 1" in report["error"]
    mend(page)
    assert json.loads(command("--json"))["counts"] == {"written": 1}
    assert json.loads(command("--json")) == {"letters": [], "counts": {}}
    assert json.loads(command("--list", "--json")) == {"letters": []}


def test_the_command_knows_no_other_names() -> None:
    with pytest.raises(CommandError, match="Use one of:"):
        command("nothing")


# The admin

LIST = "admin:django_cachepatterns_deadletter_changelist"


@pytest.fixture
def client(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def act(client: Client, action: str, letter: DeadLetter, query: str = "", **more: str) -> Any:
    data = {"action": action, "_selected_action": [str(letter.pk)], **more}
    return client.post(reverse(LIST) + query, data, follow=True)


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_list_shows_what_was_refused(client: Client, page: Page, letter: DeadLetter) -> None:
    found = client.get(reverse(LIST)).content.decode()
    assert "testapp.Page.likes" in found
    assert ">+2</td>" in found
    assert "out of range" in found
    assert "Add dead letter" not in found
    assert str(page.pk) in client.get(reverse(LIST), {"q": "out of range"}).content.decode()
    assert "0 dead letters" in client.get(reverse(LIST), {"q": "nonsense"}).content.decode()
    empty = client.get(reverse(LIST), {"buffer": "testapp.Page.views"}).content.decode()
    assert "0 dead letters" in empty


def test_a_row_leads_to_its_page_where_there_is_one(
    client: Client, letter: DeadLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = f"/admin/shop/category/{letter.member}/change/"
    assert link not in client.get(reverse(LIST)).content.decode()
    monkeypatch.setattr(type(Page.like_counter), "model", Category)
    for url in (reverse(LIST), detail(letter)):
        assert f'<a href="{link}">{letter.member}</a>' in client.get(url).content.decode()


def detail(letter: DeadLetter) -> str:
    return reverse("admin:django_cachepatterns_deadletter_change", args=[letter.pk])


def test_a_letter_is_shown_and_not_edited(client: Client, letter: DeadLetter) -> None:
    found = client.get(detail(letter)).content.decode()
    assert "<pre>+2</pre>" in found
    assert 'name="_save"' not in found
    assert client.post(detail(letter), {"payload": "9"}).status_code == 403
    letter.refresh_from_db()
    assert letter.payload == "2"
    assert client.get(reverse("admin:django_cachepatterns_deadletter_add")).status_code == 403


def test_what_a_draft_had_is_shown_in_lines(client: Client, letter: DeadLetter) -> None:
    DeadLetter.objects.update(payload=json.dumps({"items": {"<b>": 2}}))
    found = client.get(detail(letter)).content.decode()
    assert "&quot;items&quot;: {\n" in found
    assert "<b>" not in found


def test_what_a_draft_had_is_shown_without_moments(client: Client, letter: DeadLetter) -> None:
    saved = {"items": {"at": 1795435081415993, "json": {"d": 1}}, "n": {"at": 2, "value": None}}
    DeadLetter.objects.update(payload=json.dumps(saved))
    assert readable(DeadLetter.objects.get().payload) == (
        '{\n  "items": {\n    "d": 1\n  },\n  "n": null\n}'
    )
    for url in (reverse(LIST), detail(letter)):
        assert "1795435081415993" not in client.get(url).content.decode()


def test_the_action_retries(client: Client, page: Page, letter: DeadLetter) -> None:
    first, second = said(act(client, "retry", letter))
    assert first == "Refused again: 1. They stay here, with the reason."
    assert f"Refused: testapp.Page.likes: {page.pk}: DataError" in second
    mend(page)
    assert said(act(client, "retry", letter)) == ["Written to the database: 1."]
    assert likes() == {page.pk: 12}
    assert not DeadLetter.objects.exists()


def test_the_action_drops_what_has_no_row(client: Client, page: Page, letter: DeadLetter) -> None:
    page.delete()
    (text,) = said(act(client, "retry", letter))
    assert text.startswith("Dropped")


def test_a_letter_of_no_buffer_is_said(client: Client, letter: DeadLetter) -> None:
    DeadLetter.objects.update(buffer="testapp.Page.loves")
    assert "Use one of:" in said(act(client, "retry", letter))[1]
    assert "testapp.Page.loves" in client.get(detail(letter)).content.decode()


@pytest.mark.parametrize(("codename", "may"), [("view", False), ("change", True)])
def test_who_may_change_letters_may_retry_them(
    page: Page, letter: DeadLetter, codename: str, may: bool
) -> None:
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=f"{codename}_deadletter"))
    client = Client()
    client.force_login(user)
    mend(page)
    assert client.get(detail(letter)).status_code == 200
    act(client, "retry", letter)
    assert likes() == {page.pk: 12 if may else 10}


def test_discarding_says_that_the_change_is_lost(
    client: Client, page: Page, letter: DeadLetter
) -> None:
    url = reverse("admin:django_cachepatterns_deadletter_delete", args=[letter.pk])
    assert "loses its change" in client.get(url).content.decode()
    assert "loses their changes" in act(client, "delete_selected", letter).content.decode()
    assert DeadLetter.objects.exists()
    client.post(url, {"post": "yes"})
    assert not DeadLetter.objects.exists()
    assert likes() == {page.pk: MOST}


class Pages:
    """A router that keeps pages, and what is told of them, in the other database."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other" if issubclass(model, Page) else None


@override_settings(DATABASE_ROUTERS=[Pages()])
def test_the_databases_are_those_that_buffers_are_flushed_to(client: Client) -> None:
    assert databases.databases(DeadLetter) == ["default", "other"]
    page = Page.objects.using("other").create(title="there", likes=MOST)
    Page.like_counter.increment(page.pk)
    assert Page.like_counter.flush().refused == 1
    assert "0 dead letters" in client.get(reverse(LIST)).content.decode()
    found = client.get(reverse(LIST), {"database": "other"}).content.decode()
    assert "testapp.Page.likes" in found
    with pytest.raises(CommandError):
        command()
    Page.objects.using("other").update(likes=3)
    assert "1 written" in command()
    assert Page.objects.using("other").get().likes == 4


@pytest.fixture
def two_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "databases", lambda model: ["default", "other"])


@pytest.mark.usefixtures("two_databases")
def test_each_database_has_its_letters(client: Client, page: Page, letter: DeadLetter) -> None:
    other = elsewhere(letter)
    here, there = (
        client.get(reverse(LIST), query).content.decode() for query in ({}, {"database": "other"})
    )
    assert "?database=other" in here
    assert "of the other database" not in here
    assert "of the other database" in there
    link = f"{detail(other)}?_changelist_filters=database%3Dother"
    assert link in there
    assert "of the other database" in client.get(link).content.decode()
    act(client, "retry", other, "?database=other")
    assert DeadLetter.objects.using("other").count() == 0
    assert DeadLetter.objects.count() == 1
    assert likes() == {page.pk: MOST}


@pytest.mark.usefixtures("two_databases")
@pytest.mark.parametrize("how", ["page", "action"])
def test_a_letter_is_discarded_in_its_own_database(
    client: Client, letter: DeadLetter, how: str
) -> None:
    other = elsewhere(letter)
    if how == "page":
        url = reverse("admin:django_cachepatterns_deadletter_delete", args=[other.pk])
        client.post(f"{url}?_changelist_filters=database%3Dother", {"post": "yes"})
    else:
        act(client, "delete_selected", other, "?database=other", post="yes")
    assert DeadLetter.objects.using("other").count() == 0
    assert DeadLetter.objects.count() == 1


@pytest.fixture
def asked() -> Callable[[str], Any]:
    return lambda name: f"admin:django_cachepatterns_ledgerentry_{name}"


def test_applied_batches_are_read_only(client: Client, page: Page, asked: Any) -> None:
    Page.view_counter.increment(page.pk)
    Page.view_counter.flush()
    batch = LedgerEntry.objects.get()
    shown = client.get(reverse(asked("changelist"))).content.decode()
    assert str(batch.pk) in shown
    assert "delete_selected" not in shown
    filtered = client.get(reverse(asked("changelist")), {"buffer": "testapp.Page.likes"})
    assert str(batch.pk) not in filtered.content.decode()
    assert client.get(reverse(asked("change"), args=[batch.pk])).status_code == 200
    assert client.post(reverse(asked("change"), args=[batch.pk]), {"rows": 9}).status_code == 403
    delete = reverse(asked("delete"), args=[batch.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert client.get(reverse(asked("add"))).status_code == 403
    assert LedgerEntry.objects.get().rows == 1


def test_the_admin_has_both() -> None:
    assert admin.site.is_registered(DeadLetter)
    assert admin.site.is_registered(LedgerEntry)
