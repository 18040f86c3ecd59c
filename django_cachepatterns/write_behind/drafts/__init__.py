"""Drafts: rows and fields of which the last write wins."""
