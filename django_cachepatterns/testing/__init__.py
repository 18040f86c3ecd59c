"""Helpers for the tests of projects that use the library, and of stores made for it.

`contract` tests a third party's store. It needs pytest; nothing else here does.
"""
