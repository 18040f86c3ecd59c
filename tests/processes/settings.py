"""The settings of programs that tests start; see `environment()`."""

from __future__ import annotations

import json
import os

import django_cachepatterns
from tests.settings import *  # noqa: F403
from tests.settings import CACHEPATTERNS, DATABASES, KEY_PREFIX
from tests.settings import ROOT_URLCONF as _ROOT_URLCONF

for _alias, _name in json.loads(os.environ["PROCESS_DATABASES"]).items():
    DATABASES[_alias]["NAME"] = _name

ROOT_URLCONF = os.environ.get("PROCESS_URLS", _ROOT_URLCONF)
CACHEPATTERNS = {
    **CACHEPATTERNS,
    "TIMEOUT": float(os.environ.get("PROCESS_TIMEOUT", CACHEPATTERNS["TIMEOUT"])),
    "DRAIN_AT_EXIT": os.environ.get("PROCESS_DRAIN", "yes") == "yes",
    "METRICS_FLUSH_EVERY": float(os.environ.get("PROCESS_METRICS_EVERY", "3600")),
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "LOG {levelname} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"django_cachepatterns": {"handlers": ["console"], "level": "INFO"}},
}

CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_TASK_DEFAULT_QUEUE = f"{KEY_PREFIX}-flushes"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    **django_cachepatterns.tasks.beat_schedule(
        tick=float(os.environ.get("PROCESS_TICK", "0.2")),
        expires=float(os.environ.get("PROCESS_EXPIRES", "1")),
    ),
}
