"""Notices, which no model knows: what functions and values are made of."""
