"""Benchmarks of the library beside plain Django, redis-py, django-redis, cacheops and cachalot.

`python -m benchmarks` runs all, `python -m benchmarks.hit` one. See docs/benchmarks.md.
"""
