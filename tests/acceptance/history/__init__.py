"""A live history checker: processes write and read a few hot rows as fast as they can, and every
read is compared with what was committed before it began.

    python -m tests.acceptance.history --seconds 30
    python -m tests.acceptance.history --seconds 30 --subject control

A read is *stale* where it shows less than was committed before it began, and *dirty* where it shows
what was never committed. When all is quiet, whatever is left in the cache is compared with the
database. The control is the cache that everyone writes by hand: that it is caught shows that the
checker can fail.
"""
