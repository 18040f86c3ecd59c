"""Processes full of threads that want one row."""
