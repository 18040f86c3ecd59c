"""Rows of models as entries: what the querysets read through."""
