from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks.app"
    label = "benchmarks"
    default_auto_field = "django.db.models.BigAutoField"
