"""A live history checker: processes write and read a few hot rows as fast as they can, and every
read is compared with what was committed before it began.

    python -m tests.acceptance.history --seconds 30
    python -m tests.acceptance.history --seconds 30 --subject control
    python -m tests.acceptance.history --seconds 30 --areas lists,counts

A read is *stale* where it shows less than was committed before it began, and *dirty* where it shows
what was never committed. Single rows carry versions, by which they are judged (`judge`). Lists,
counts and whatever else is made of several rows are judged by a chronicle of every state that the
tables have been in (`chronicle`, `examiner`): an answer must be right for a moment between the
beginning of the read and its end. When all is quiet, everything is asked once more, and whatever is
left in the cache is compared with the database. The control is the cache that everyone writes by
hand: that it is caught shows that the checker can fail.
"""
