"""The shop under load, without and with the cache: ``python -m example_project.demo``."""
