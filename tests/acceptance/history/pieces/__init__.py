"""Pieces in categories: lists of them, counts and sums; read-through and write-through."""
