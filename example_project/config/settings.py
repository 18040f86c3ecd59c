"""Settings of the shop. DATABASE_URL and REDIS_URL name the servers."""

from __future__ import annotations

import os

from .database import DEFAULT_URL, database_from_url

SECRET_KEY = os.environ.get("SECRET_KEY", "an example, with nothing to protect")
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "example_project.config.urls"
WSGI_APPLICATION = "example_project.config.wsgi.application"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_cachepatterns",
    "example_project.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

SESSION_ENGINE = "django_cachepatterns.contrib.sessions"
AUTHENTICATION_BACKENDS = ["django_cachepatterns.contrib.auth.CachedModelBackend"]

DATABASES = {"default": database_from_url(os.environ.get("DATABASE_URL", DEFAULT_URL))}
DATABASES["default"]["CONN_MAX_AGE"] = 60

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
    },
}
CACHEPATTERNS = {
    "KEY_PREFIX": os.environ.get("CACHEPATTERNS_PREFIX", "shop"),
    # "0" sends every read to the database: how the demo measures what the cache is worth.
    "ENABLED": os.environ.get("CACHEPATTERNS_ENABLED", "1") != "0",
}
