from __future__ import annotations

import os

from example_project.config.database import DEFAULT_URL, database_from_url

SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "example_project.config.urls"
STATIC_URL = "static/"

# Each worker of pytest-xdist has a database of its own, and so it has a part of the keys.
KEY_PREFIX = "-".join(filter(None, ["cpt", os.environ.get("PYTEST_XDIST_WORKER")]))

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_cachepatterns",
    "example_project.shop",
    "tests.testapp",
]
MIDDLEWARE = [
    "tests.browser.csp.forbid",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {
    alias: database_from_url(os.environ.get("DATABASE_URL", DEFAULT_URL))
    for alias in ("default", "other")
}
DATABASES["other"]["NAME"] += "_other"

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
        "KEY_PREFIX": KEY_PREFIX,
    },
}
CACHEPATTERNS = {
    "KEY_PREFIX": KEY_PREFIX,
    # A machine that is busy with tests is late at times, not away. Tests of outages set their own.
    "TIMEOUT": 5,
    # The servers are gone when a test run ends.
    "DRAIN_AT_EXIT": False,
    # Tests send figures when they want to look at them.
    "METRICS_FLUSH_EVERY": 3600,
}
