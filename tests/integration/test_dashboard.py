"""The dashboard's pages, as Django's test client sees them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = "admin:django_cachepatterns_dashboard_changelist"


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_it_shows(root: Client) -> None:
    response = root.get(reverse(INDEX))
    assert response.status_code == 200
