"""Settings of the measuring processes.

cacheops and cachalot replace parts of Django for the whole process, so each has a process of its
own; BENCHMARKS_PROCESS says whose this one is.
"""

from __future__ import annotations

import os

from example_project.config.database import database_from_url

PROCESS = os.environ["BENCHMARKS_PROCESS"]
PREFIX = os.environ["CACHEPATTERNS_PREFIX"]
REDIS_URL = os.environ["REDIS_URL"]
TTL = 3600

SECRET_KEY = "nothing to protect"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django_cachepatterns", "benchmarks.app"]
DATABASES = {"default": {**database_from_url(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": None}}
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": PREFIX,
    },
}
CACHEPATTERNS = {"KEY_PREFIX": PREFIX}

# Peers that have a connection for each thread: redis-py allows a pool a hundred.
ROOMY_URL = f"{REDIS_URL}?max_connections=1000"
CACHES["roomy"] = {**CACHES["default"], "LOCATION": ROOMY_URL}

if PROCESS == "admin":
    ALLOWED_HOSTS = ["localhost"]
    ROOT_URLCONF = "example_project.config.urls"
    STATIC_URL = "static/"
    INSTALLED_APPS += [
        f"django.contrib.{name}"
        for name in ("admin", "auth", "contenttypes", "messages", "sessions", "staticfiles")
    ]
    INSTALLED_APPS += ["example_project.shop"]
    MIDDLEWARE = [
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
elif PROCESS == "cacheops":
    INSTALLED_APPS += ["cacheops"]
    CACHEOPS_REDIS = ROOMY_URL
    CACHEOPS = {"benchmarks.cacheopsitem": {"ops": "all", "timeout": TTL}}
    CACHEOPS_PREFIX = lambda _: f"{PREFIX}:"  # noqa: E731 - the setting wants a callable
elif PROCESS == "cachalot":
    INSTALLED_APPS += ["cachalot"]
    CACHALOT_ONLY_CACHABLE_TABLES = ("benchmarks_cachalotitem",)
    CACHALOT_TIMEOUT = TTL
