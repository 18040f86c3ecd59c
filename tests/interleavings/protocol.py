"""The protocol as a model: readers and writers of one row, stepping the real store.

A reader reads as `read_through.Reader` does: `GET`; where nothing (useful) stands a lease, then the
load, then the fill; where another has the lease it polls, takes the next lease if that one ends
without a value, and in the end loads without filling; where a mark stands it loads without filling.
A writer marks, writes, commits or rolls back, and ends.

Between any two steps any actor may crash, the entry may be evicted or expire or be dropped, and a
crashed writer's deadline may pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .explorer import Step
from .server import Entry, Operation, Server, lapsed

OLD = "v0"
"""The version of the row before anybody writes."""


class Reader(NamedTuple):
    """A reader: what it does next, how many more reads, and what it has in hand.

    `floor` is the number of commits before its read began, `value` what it has loaded, `seen` the
    useless entry that it has met.
    """

    phase: str = "idle"
    left: int = 2
    floor: int = 0
    value: str | None = None
    seen: str | None = None


class Writer(NamedTuple):
    """A writer: how far it is, and whether it has an uncommitted write."""

    phase: str = "new"
    dirty: bool = False


GONE = Reader("gone", 0)
NEW, CRASHED, ENDED = Writer("new"), Writer("crashed"), Writer("ended")


class State(NamedTuple):
    """The entry, the committed versions in their order, and the actors."""

    entry: Entry | None
    committed: tuple[str, ...]
    readers: tuple[Reader, ...]
    writers: tuple[Writer, ...]

    @property
    def current(self) -> str:
        """The version that the database shows."""
        return self.committed[-1] if self.committed else OLD


class Protocol:
    """All that can happen to one row.

    Args:
        server: where the entry is.
        readers: how many; each reads `reads` times.
        writers: how many; each writes once.
        live_writers_lapse: the documented hole: a transaction outlasts its mark.
        marks_are_lost: the documented hole: a mark is evicted.
        starts: what may stand under the key at first.
    """

    load_first = False
    """Whether a reader loads before it takes the lease: a mutation."""
    order: tuple[str, ...] = ("begin", "write", "commit", "end")
    """The steps of a writer."""
    late_begin = True
    """Whether a writer may mark after its statement (but before its commit) as well."""
    end_after_rollback = True
    promise = "commit"
    """From when on a read is fresh: another's `commit`, or (where marks may be lost) its `end`."""

    def __init__(
        self,
        server: Server,
        *,
        readers: int = 2,
        reads: int = 2,
        writers: int = 2,
        live_writers_lapse: bool = False,
        marks_are_lost: bool = False,
        starts: Iterable[Entry | None] = (None,),
    ) -> None:
        self.server = server
        self.count = readers, reads, writers
        self.live_writers_lapse = live_writers_lapse
        self.marks_are_lost = marks_are_lost
        self.start_entries = tuple(starts)

    def starts(self) -> Iterator[tuple[str, State]]:
        readers, reads, writers = self.count
        for found in self.start_entries:
            state = State(found, (), (Reader(left=reads),) * readers, (Writer(),) * writers)
            yield f"at first: {found or 'nothing'}", state

    def steps(self, state: State) -> Iterator[Step]:
        for number in range(len(state.readers)):
            yield from self._reader_steps(state, number)
        for number in range(len(state.writers)):
            yield from self._writer_steps(state, number)
        yield from self._accidents(state)

    # Readers

    def _reader_steps(self, state: State, number: int) -> Iterator[Step]:
        reader, name = state.readers[number], f"r{number + 1}"
        if reader == GONE:
            return
        if reader.phase == "idle":
            begun = reader._replace(left=reader.left - 1, floor=self._floor(state))
            yield self._meet(state, number, begun, ("get",), f"{name} gets")
            return
        yield self._reader_becomes(state, number, GONE, f"{name} crashes")
        if reader.phase == "missed":
            if self.load_first and reader.value is None:
                loaded = reader._replace(value=state.current)
                yield self._reader_becomes(state, number, loaded, f"{name} loads {state.current}")
            else:
                yield self._meet(state, number, reader, ("lease", name), f"{name} leases")
        elif reader.phase == "useless":
            operation = ("lease_over", name, str(reader.seen))
            yield self._meet(state, number, reader, operation, f"{name} leases over")
        elif reader.phase == "leased":
            value = reader.value or state.current
            loaded = reader._replace(phase="loaded", value=value)
            yield self._reader_becomes(state, number, loaded, f"{name} loads {value}")
            outcome = self.server.after(state.entry, ("release", name))
            failed = self._idle(reader)
            yield self._reader_becomes(
                state, number, failed, f"{name} fails to load", outcome.entry, ("release", name)
            )
        elif reader.phase == "loaded":
            assert reader.value is not None
            operation = ("fill", name, reader.value)
            outcome = self.server.after(state.entry, operation)
            what = f"{name} fills {reader.value}: {'stored' if outcome.answer else 'refused'}"
            yield self._return(state, number, reader.value, what, outcome.entry, operation)
        elif reader.phase == "waiting":
            if self.server.after(state.entry, ("get",)).answer != state.entry or not is_lease(
                state.entry
            ):
                yield self._meet(state, number, reader, ("get",), f"{name} polls")
            waited = reader._replace(phase="direct")
            yield self._reader_becomes(state, number, waited, f"{name} waits no more")
        elif reader.phase == "direct":
            what = f"{name} loads {state.current} and does not fill"
            yield self._return(state, number, state.current, what, state.entry)

    def _meet(
        self, state: State, number: int, reader: Reader, operation: Operation, what: str
    ) -> Step:
        """A reader does what tells it what stands there."""
        outcome = self.server.after(state.entry, operation)
        found = outcome.answer
        what = f"{what}: {found or 'nothing'}"
        if found is not None and found.kind == "V":
            return self._return(state, number, found.what, what, outcome.entry, operation)
        if found is None:
            phase = "missed" if operation == ("get",) else "leased"
        elif found.kind == "L":
            phase = "waiting"
        elif found.kind == "?" and operation == ("get",):
            phase = "missed"
        elif found.kind == "?" and operation[0] == "lease":
            phase = "useless"
        else:
            phase = "direct"
        seen = found.what if found is not None and found.kind == "?" else reader.seen
        value = reader.value if phase in ("missed", "useless", "leased") else None
        after = reader._replace(phase=phase, seen=seen if phase != "leased" else None, value=value)
        return self._reader_becomes(state, number, after, what, outcome.entry, operation)

    def _return(
        self,
        state: State,
        number: int,
        value: str,
        what: str,
        found: Entry | None,
        did: Operation | None = None,
    ) -> Step:
        """A reader returns a value: is it one that it may return?"""
        reader, wrong = state.readers[number], None
        if did == ("get",) and reader.phase == "idle":
            reader = reader._replace(left=reader.left - 1, floor=self._floor(state))
        versions = (OLD, *state.committed)
        if value not in versions:
            wrong = f"r{number + 1} read {value}, which was not committed"
        elif versions.index(value) < reader.floor:
            newer, said = versions[reader.floor], {"commit": "committed"}.get(self.promise, "over")
            wrong = f"r{number + 1} read {value} though {newer} was {said} before it began"
        step = self._reader_becomes(state, number, self._idle(reader), what, found, did)
        return step._replace(wrong=wrong)

    def _idle(self, reader: Reader) -> Reader:
        return Reader(left=reader.left) if reader.left else GONE

    def _reader_becomes(
        self,
        state: State,
        number: int,
        reader: Reader,
        what: str,
        found: Any = ...,
        did: Operation | None = None,
    ) -> Step:
        readers = (*state.readers[:number], reader, *state.readers[number + 1 :])
        stands = state.entry if found is ... else found
        return Step(what, state._replace(entry=stands, readers=readers), None, did)

    def _floor(self, state: State) -> int:
        """How many of the versions are too old for a read that begins now."""
        if self.promise == "commit":
            return len(state.committed)
        ended = [at for at, version in enumerate(state.committed, 1) if has_ended(state, version)]
        return max(ended, default=0)

    # Writers

    def _writer_steps(self, state: State, number: int) -> Iterator[Step]:
        writer, name = state.writers[number], f"w{number + 1}"
        phase, order = writer.phase, self.order
        if phase == "inflight":
            # It has crashed in its COMMIT, which the database may still be at.
            yield self._committed(state, number, CRASHED, f"{name}'s commit comes through")
            yield self._writer_becomes(state, number, CRASHED, f"{name}'s commit is lost")
            return
        if writer in (CRASHED, ENDED):
            return
        if phase != "new":
            yield self._writer_becomes(state, number, CRASHED, f"{name} crashes")
        if phase == "write?":
            yield self._marks(state, number, "write")
            return
        if phase == "rollback":
            at = order.index("end")
        else:
            at = 0 if phase == "new" else order.index(phase) + 1
        todo = order[at]
        if todo == "begin":
            yield self._marks(state, number, "begin")
            if self.late_begin and order[at + 1 :][:1] == ("write",) and not is_locked(state):
                late = Writer("write?", dirty=True)
                yield self._writer_becomes(state, number, late, f"{name} writes, unmarked yet")
        elif todo == "write":
            if not is_locked(state):
                dirty = Writer("write", dirty=True)
                yield self._writer_becomes(state, number, dirty, f"{name} writes")
        elif todo == "commit":
            yield from self._commits_or_not(state, number, name)
        elif todo == "end":
            operation = ("end_write", name)
            outcome = self.server.after(state.entry, operation)
            last = order[-1] == "end" or phase == "rollback"
            after = ENDED if last else Writer("end", dirty=writer.dirty)
            yield self._writer_becomes(
                state, number, after, f"{name} ends", outcome.entry, operation
            )

    def _marks(self, state: State, number: int, phase: str) -> Step:
        name = f"w{number + 1}"
        operation = ("begin_write", name)
        outcome = self.server.after(state.entry, operation)
        marked = state.writers[number]._replace(phase=phase)
        return self._writer_becomes(
            state, number, marked, f"{name} begins", outcome.entry, operation
        )

    def _commits_or_not(self, state: State, number: int, name: str) -> Iterator[Step]:
        committed = ENDED if self.order[-1] == "commit" else Writer("commit")
        yield self._committed(state, number, committed, f"{name} commits")
        rolled_back = Writer("rollback") if self.end_after_rollback else ENDED
        yield self._writer_becomes(state, number, rolled_back, f"{name} rolls back")
        inflight = Writer("inflight", dirty=True)
        yield self._writer_becomes(state, number, inflight, f"{name} crashes in its commit")

    def _committed(self, state: State, number: int, writer: Writer, what: str) -> Step:
        step = self._writer_becomes(state, number, writer, what)
        committed = (*state.committed, f"v{number + 1}")
        return step._replace(state=step.state._replace(committed=committed))

    def _writer_becomes(
        self,
        state: State,
        number: int,
        writer: Writer,
        what: str,
        found: Any = ...,
        did: Operation | None = None,
    ) -> Step:
        writers = (*state.writers[:number], writer, *state.writers[number + 1 :])
        stands = state.entry if found is ... else found
        return Step(what, state._replace(entry=stands, writers=writers), None, did)

    # Accidents

    def _accidents(self, state: State) -> Iterator[Step]:
        stands = state.entry
        if stands is None:
            return
        if stands.kind != "W" or self.marks_are_lost:
            what = f"{stands} is evicted or expires"
            yield Step(what, state._replace(entry=None), None, "accident")
        outcome = self.server.after(stands, ("drop",))
        yield Step("drop", state._replace(entry=outcome.entry), None, ("drop",))
        if stands.kind == "W":
            for name, alive in stands.what:
                writer = state.writers[int(name[1:]) - 1]
                if alive and (writer == CRASHED or self.live_writers_lapse):
                    left = lapsed(stands, name)
                    what = f"{name}'s deadline passes"
                    yield Step(what, state._replace(entry=left), None, "accident")

    # The end

    def wrong_at_the_end(self, state: State) -> str | None:
        """What must not be left when nobody is at it: an old value, or a key that stays uncached.

        It must be cacheable at once where no writer crashed, and at the latest when all deadlines
        have passed.
        """
        if any(reader.phase not in ("idle", "gone") for reader in state.readers):
            return None
        if any(writer not in (NEW, CRASHED, ENDED) for writer in state.writers):
            return None
        stands = state.entry
        if stands is not None and stands.kind == "V" and self._is_wrong(state, stands.what):
            return f"{stands} is left though {state.current} is what was committed"
        if stands is not None and stands.kind == "W":
            writing = [name for name, alive in stands.what if alive]
            if all(state.writers[int(name[1:]) - 1] == ENDED for name in writing):
                return f"{stands} is left though nobody writes"
        return self._wrong_when_all_has_lapsed(stands, state.current)

    def _is_wrong(self, state: State, version: str) -> bool:
        versions = (OLD, *state.committed)
        return version not in versions or versions.index(version) < self._floor(state)

    def _wrong_when_all_has_lapsed(self, stands: Entry | None, current: str) -> str | None:
        """A fresh reader comes when all deadlines have passed: is the row cached after it?"""
        if stands is not None and stands.kind == "W":
            mark: Entry | None = stands
            for name, _ in stands.what:
                mark = lapsed(mark, name) if mark is not None else None
            stands = mark
        elif stands is not None and stands.kind == "L" and stands.expires:
            stands = None
        after = self.server.after
        found = after(stands, ("get",)).answer
        if found is not None and found.kind == "V":
            return None
        taken = after(stands, ("lease", "fresh"))
        if taken.answer is not None and taken.answer.kind == "?":
            taken = after(taken.entry, ("lease_over", "fresh", taken.answer.what))
        filled = after(taken.entry, ("fill", "fresh", current))
        if filled.entry == Entry("V", current):
            return None
        return f"{filled.entry} stands when all has lapsed, and a reader cannot fill"


def is_lease(stands: Entry | None) -> bool:
    """Whether a lease stands there."""
    return stands is not None and stands.kind == "L"


def has_ended(state: State, version: str) -> bool:
    """Whether the writer of a version has come to its end."""
    return state.writers[int(version[1:]) - 1] == ENDED


def is_locked(state: State) -> bool:
    """Whether the database makes another writer of the row wait."""
    return any(writer.dirty for writer in state.writers)


DAMAGED_MARK = Entry("?", "a damaged mark")
STARTS: tuple[Entry | None, ...] = (
    None,
    Entry("V", OLD),
    Entry("?", "another schema's value"),
    Entry("?", "noise"),
)
"""What a row's key may hold before anybody comes."""
