"""The dashboard as it is deployed: with hashed static files, below a path, in another language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import get_script_prefix, reverse, set_script_prefix

from tests.testapp.models import Item

from .dashboard import INDEX, LIVE, POLICY, asked, root, sent

pytestmark = pytest.mark.django_db(transaction=True)
MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


@pytest.fixture
def client() -> Client:
    return root()


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="one", slug="one")
    for _ in range(1200):
        Item.objects.get(pk=item.pk)
    sent()
    return item


def test_its_files_are_served_by_names_with_hashes(client: Client, tmp_path: Path) -> None:
    storages = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": MANIFEST},
    }
    with override_settings(STORAGES=storages, STATIC_ROOT=str(tmp_path), STATIC_URL="/static/"):
        call_command("collectstatic", interactive=False, verbosity=0)
        page = client.get(reverse(INDEX)).content.decode()
    files = re.findall(r'(?:src|href)="/static/(django_cachepatterns/[^"]+)"', page)
    assert len(files) == 6
    for name in files:
        assert re.search(r"\.[0-9a-f]{12}\.(js|css)$", name), name
        assert (tmp_path / name).is_file()
    assert finders.find("django_cachepatterns/uplot/LICENSE")


def test_addresses_stay_below_the_path_of_the_site(client: Client, item: Item) -> None:
    before = get_script_prefix()
    try:
        # STATIC_URL, so that the storage, which remembers the path, is made anew afterwards.
        with override_settings(FORCE_SCRIPT_NAME="/shop", STATIC_URL="static/"):
            set_script_prefix("/shop/")
            page = client.get("/admin/django_cachepatterns/dashboard/").content.decode()
    finally:
        set_script_prefix(before)
    own = re.findall(r'(?:href|action|data-live|data-later)="(/[^"]*)"', page)
    assert len(own) > 10
    assert not [each for each in own if not f"{each}/".startswith("/shop/")]


@pytest.mark.parametrize("language", ["de", "ar", "fa"])
def test_numbers_for_the_machine_are_written_for_it(
    client: Client, item: Item, language: str
) -> None:
    with override_settings(LANGUAGE_CODE=language, USE_THOUSAND_SEPARATOR=True, NUMBER_GROUPING=1):
        for address in (reverse(INDEX), f"{reverse(POLICY)}?name=testapp.item"):
            page = client.get(address).content.decode()
            assert 'data-every="5"' in page
            drawn = re.findall(r'<script type="application/json">(.*?)</script>', page)
            assert all(json.loads(each)["x"] for each in drawn)
            assert len(drawn) == 4
        assert client.get(reverse(LIVE)).json()["panels"]
        form = asked(client, "warm").content.decode()
        assert 'value="1000"' in form
        assert 'max="20000"' in form
