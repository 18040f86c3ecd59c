"""One table, several times over."""
