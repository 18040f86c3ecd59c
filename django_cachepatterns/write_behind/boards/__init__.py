"""Leaderboards: scores that are counted behind, and ranked in a sorted set."""
