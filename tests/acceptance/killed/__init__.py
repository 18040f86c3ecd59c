"""Writers that are killed at a chosen point of a write, while others read the row."""
