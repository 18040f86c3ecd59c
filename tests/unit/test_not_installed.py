"""Using the app without having installed it is one clear error."""

from __future__ import annotations

import subprocess
import sys

import pytest

USE = """
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()
try:
    import django_cachepatterns.{module}
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("module", ["models", "write_behind"])
def test_an_app_that_is_not_installed_is_named(module: str) -> None:
    command = [sys.executable, "-c", USE.format(module=module)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("ImproperlyConfigured")
    assert "Add 'django_cachepatterns' to INSTALLED_APPS" in said
