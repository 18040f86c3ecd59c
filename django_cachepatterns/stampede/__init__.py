"""Defences against many loads of one missing entry."""
