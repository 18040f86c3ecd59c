"""Django's own apps, through the cache."""
