"""Counters that are written behind, while who flushes them is killed.

Writers count, two lanes of flushers compete for the batches and are killed at chosen steps, and a
reader watches the live values. At the end the database must have what was acknowledged, row for
row. `sabotage` takes the safeguards away one by one: each must be missed.
"""
