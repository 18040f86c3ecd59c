"""What ends an entry's life besides its ttl."""
