"""The dashboard in an admin site of the project's own, and in projects without an admin."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.contrib.admin import AdminSite, site
from django.test import override_settings
from django.urls import include, path

from django_cachepatterns.admin import DashboardAdmin
from django_cachepatterns.permissions import Dashboard

from .dashboard import root, text

mine = AdminSite(name="backstage")
mine.register(Dashboard, DashboardAdmin)
urlpatterns = [
    path("admin/", site.urls),
    path("backstage/", mine.urls),
    path("", include("example_project.shop.urls")),
]

WITHOUT_ADMIN = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_cachepatterns"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
django.setup()
from django.core.management import call_command
from django.template import engines

call_command("migrate", verbosity=0)
engines["django"].from_string("{% load cachepatterns cachepatterns_dashboard %}").render()
"""


@pytest.mark.django_db(transaction=True)
@override_settings(ROOT_URLCONF=__name__)
def test_links_stay_in_the_site_that_one_is_in() -> None:
    client = root()
    for address in (
        "/backstage/django_cachepatterns/dashboard/",
        "/backstage/django_cachepatterns/",
        "/backstage/django_cachepatterns/dashboard/policy/?name=testapp.item",
        "/backstage/django_cachepatterns/dashboard/act/flush/?name=",
        "/backstage/django_cachepatterns/dashboard/live/",
    ):
        page = client.get(address).content.decode()
        assert "/backstage/django_cachepatterns/dashboard/" in page, address
        assert "/admin/" not in page.replace("/static/admin/", ""), address
    done = client.post("/backstage/django_cachepatterns/dashboard/act/flush/", {"name": ""})
    assert done.headers["Location"] == "/backstage/django_cachepatterns/dashboard/"
    assert "Flushed 0 rows" in text(client.get(done.headers["Location"]).content)


def test_a_project_without_the_admin_needs_none_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ADMIN], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
