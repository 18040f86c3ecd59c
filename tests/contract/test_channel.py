"""The connection of the Redis store, when the server, a signal or a fork interferes."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from types import FrameType
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.conf import settings as project_settings

from django_cachepatterns import conf, entry
from django_cachepatterns.exceptions import StoreUnavailable
from django_cachepatterns.stores import RedisStore, store_of
from django_cachepatterns.testing.contract import LONG
from example_project.servers import Valkey
from tests.forks import in_child

from .wire import POINTS, Wire

LEASE, TOKEN = entry.lease(entry.new_token()), entry.new_token()
REFRESH = entry.refresh_lease(entry.new_token(), 2**42)
PREFIX = project_settings.KEY_PREFIX.encode() + b":channel:"
KEYS = [PREFIX + b"%d" % at for at in range(3)]
KEY = KEYS[0]
MANY = [PREFIX + b"many:%d" % at for at in range(2_500)]
TAG = PREFIX + b"tag"
ALL_KEYS = [*KEYS, *MANY, TAG]


def leased(store: RedisStore) -> list[bytes]:
    """A key that is leased."""
    store.lease([KEY], LEASE, LONG)
    return [KEY]


CALLS: dict[str, Callable[[RedisStore], object]] = {
    "get": lambda store: store.get(KEY),
    "get_many": lambda store: store.get_many(KEYS),
    "lease": lambda store: store.lease(KEYS, LEASE, LONG, [TAG], entry.tag(TOKEN)),
    "lease_over one": lambda store: store.lease_over([KEY], [b"useless"], LEASE, LONG),
    "lease_over": lambda store: store.lease_over(KEYS, [b"useless"] * 3, LEASE, LONG),
    "fill": lambda store: store.fill(KEYS, LEASE, [b"V"] * 3, [LONG] * 3),
    "lease_refresh": lambda store: store.lease_refresh(
        KEY, b"V", REFRESH, [TAG, KEYS[1]], entry.tag(TOKEN)
    ),
    "install one": lambda store: store.install([KEY], [b"W"], TOKEN, [b"V"], [LONG]),
    "install": lambda store: store.install(KEYS, [b"W"] * 3, TOKEN, [b"V"] * 3, [LONG] * 3),
    "wait for nothing": lambda store: store.wait(KEYS, 1),
    "wait": lambda store: store.wait(leased(store), 0.001),
    "release": lambda store: store.release(KEYS, LEASE),
    "begin_write": lambda store: store.begin_write(KEYS, TOKEN, LONG),
    "end_write": lambda store: store.end_write(KEYS, TOKEN),
    "drop": lambda store: store.drop(KEYS),
    "begin_write many": lambda store: store.begin_write(MANY, TOKEN, LONG),
    "end_write many": lambda store: store.end_write(MANY, TOKEN),
    "drop many": lambda store: store.drop(MANY),
}
every_call = pytest.mark.parametrize("name", CALLS)


def post_end(store: RedisStore) -> None:
    """End a write without waiting for the reply."""
    store.post_end_write(KEYS, TOKEN, lambda told: None)


class Interrupt(BaseException):
    """What a signal handler raises: a time limit, Ctrl-C."""


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire(timeout=5)
    yield wire
    wire.pool.disconnect()


@pytest.fixture
def own_store(own_valkey: Valkey, settings: LazySettings) -> RedisStore:
    """The store that the settings name, on a server of the test's own."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": own_valkey.url}}
    return store_of(conf.config())


@pytest.fixture
def own_client(own_valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_valkey.url) as client:
        yield client


@contextmanager
def alarm(after: float, action: Callable[[], object]) -> Iterator[None]:
    """Do something in a signal handler, `after` seconds from now."""
    before = signal.signal(signal.SIGALRM, lambda *_: action())
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupt() -> None:
    raise Interrupt


def client_id(store: RedisStore) -> int:
    """The server's number for this thread's connection."""
    return int(store.channel.call(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"))


def assert_in_step(store: RedisStore, client: redis.Redis) -> None:
    """Whether every answer is the one to its question."""
    for number in range(3):
        own = [PREFIX + b"step:%d:%d" % (number, at) for at in range(3)]
        client.mset({key: b"V" + key for key in own})
        assert store.get(own[0]) == b"V" + own[0]
        assert store.get_many(own) == [b"V" + key for key in own]
        assert store.lease(own, LEASE, LONG) == ([b"V" + key for key in own], [])
        assert store.fill(own, LEASE, [b"V"] * 3, [LONG] * 3) == [False] * 3
        assert store.drop(own) == 3


# Scripts


@every_call
def test_a_server_that_forgot_the_scripts_is_told_them_again(
    own_store: RedisStore, own_client: redis.Redis, name: str
) -> None:
    call = CALLS[name]
    expected = call(own_store)
    own_client.script_flush()
    for _ in range(2):
        own_client.delete(*ALL_KEYS)
        assert call(own_store) == expected


def test_a_refresh_is_begun_on_a_server_that_forgot_the_script(
    own_store: RedisStore, own_client: redis.Redis
) -> None:
    own_client.set(KEY, b"V", px=LONG)
    own_store.get(KEY)
    own_client.script_flush()
    tag = entry.tag(TOKEN)
    assert own_store.lease_refresh(KEY, b"V", REFRESH, [TAG], tag) == (True, [tag])
    assert own_client.get(KEY) == REFRESH + b"V"


def test_tags_are_read_after_the_lease_though_the_server_forgot_the_script(
    wire: Wire, redis_client: redis.Redis
) -> None:
    """A write that begins between the two attempts must be seen."""
    redis_client.set(KEY, b"V", px=LONG)
    wire.store.get(KEY)
    redis_client.script_flush()
    mark = b"W" + TOKEN + b"9" * 13
    wire.at("before send", 2, lambda: redis_client.set(TAG, mark, px=LONG))
    taken = wire.store.lease_refresh(KEY, b"V", REFRESH, [TAG], entry.tag(TOKEN))
    assert taken == (True, [mark])


def test_what_was_written_is_stored_by_a_server_that_forgot_the_script(
    own_store: RedisStore, own_client: redis.Redis
) -> None:
    own_store.begin_write(KEYS, TOKEN, LONG)
    seen = own_client.mget(KEYS)
    own_client.script_flush()
    stored = own_store.install(KEYS, seen, TOKEN, [b"V"] * 3, [LONG] * 3)
    assert stored == [True] * 3
    assert own_client.mget(KEYS) == [b"V"] * 3


# Connections that break


@every_call
def test_a_connection_that_the_server_has_closed_is_opened_again(
    wire: Wire, redis_client: redis.Redis, name: str
) -> None:
    store = wire.store
    CALLS[name](store)
    redis_client.client_kill_filter(_id=client_id(store))
    assert wire.opened_by(lambda: CALLS[name](store)) == 1
    assert_in_step(store, redis_client)
    assert wire.opened == 2


def test_a_connection_is_opened_again_only_once(wire: Wire, redis_client: redis.Redis) -> None:
    def lose(times: int) -> None:
        wire.at("before send", times, lose_connection)

    def lose_connection() -> None:
        if wire.opened < 5:
            lose(1)
        raise redis.ConnectionError("lost")

    wire.store.get(KEY)
    lose(1)
    with pytest.raises(StoreUnavailable, match="lost"):
        wire.store.get(KEY)
    assert wire.opened <= 2


def test_a_server_that_is_gone_is_asked_once(own_valkey: Valkey, own_store: RedisStore) -> None:
    own_store.get(KEY)
    own_valkey.kill()
    started = time.monotonic()
    for call in CALLS.values():
        with pytest.raises(StoreUnavailable):
            call(own_store)
    assert time.monotonic() - started < 1
    own_valkey.start()
    assert own_store.get(KEY) is None


def test_waits_are_short_while_the_server_hangs(
    impatient: None, own_valkey: Valkey, own_store: RedisStore, own_client: redis.Redis
) -> None:
    own_store.get(KEY)
    own_valkey.pause()
    for call in CALLS.values():
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call(own_store)
        assert 0.2 < time.monotonic() - started < 2  # One timeout, and none of redis-py's retries.
    own_valkey.resume()
    assert_in_step(own_store, own_client)


def test_a_refusal_is_unavailability_and_leaves_the_connection_usable(
    own_store: RedisStore, own_client: redis.Redis
) -> None:
    own_client.config_set("maxmemory-policy", "noeviction")
    own_client.config_set("maxmemory", 1)
    connected = client_id(own_store)
    refused = ("lease", "lease_over", "lease_refresh", "wait")
    for name in refused:
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            CALLS[name](own_store)
    assert own_store.get(KEY) is None
    own_client.config_set("maxmemory", 0)
    assert_in_step(own_store, own_client)
    assert client_id(own_store) == connected


# The server's identity


def test_the_epoch_is_the_server_s_and_changes_with_it(
    own_valkey: Valkey, own_store: RedisStore, own_client: redis.Redis
) -> None:
    assert own_store.epoch == entry.NO_EPOCH  # Nothing was asked yet.
    own_store.get(KEY)
    first = own_store.epoch
    assert own_client.info("server")["run_id"].startswith(first.hex())
    own_valkey.kill()
    own_valkey.start()
    own_store.get(KEY)
    assert own_store.epoch not in (first, entry.NO_EPOCH)
    assert len(own_store.epoch) == 8


def test_a_user_who_may_not_ask_for_the_epoch_can_still_use_the_store(
    own_valkey: Valkey, own_client: redis.Redis, settings: LazySettings
) -> None:
    own_client.acl_setuser(
        "plain", enabled=True, passwords=["+secret"], keys=["*"], categories=["+@all"],
        commands=["-info"],
    )  # fmt: skip
    url = own_valkey.url.replace("redis://", "redis://plain:secret@")
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": url}}
    store = store_of(conf.config())
    assert_in_step(store, own_client)
    assert store.epoch == entry.NO_EPOCH


# Exceptions in the middle of a command


@every_call
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("error", [Interrupt, MemoryError])
def test_an_exception_at_any_point_leaves_no_reply_behind(
    wire: Wire,
    redis_client: redis.Redis,
    name: str,
    point: str,
    nth: int,
    error: type[BaseException],
) -> None:
    def fail() -> None:
        raise error

    store = wire.store
    CALLS[name](store)
    wire.at(point, nth, fail)
    if wire.pending:
        with suppress(error):
            CALLS[name](store)
            post_end(store)
    wire.at("never", 1, fail)
    assert_in_step(store, redis_client)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", range(1, 16))
def test_an_exception_while_a_connection_is_opened_leaves_no_reply_behind(
    wire: Wire, redis_client: redis.Redis, point: str, nth: int
) -> None:
    wire.at(point, nth, interrupt)
    with suppress(Interrupt):
        wire.store.get(KEY)
    wire.at("never", 1, interrupt)
    for _ in range(2):
        assert_in_step(wire.store, redis_client)
        with in_another_thread(lambda: assert_in_step(wire.store, redis_client)):
            pass


@every_call
def test_a_time_limit_while_the_server_hangs_leaves_no_reply_behind(
    own_valkey: Valkey, own_client: redis.Redis, settings: LazySettings, name: str
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": own_valkey.url}}
    wire = Wire(timeout=5)
    assert_in_step(wire.store, own_client)
    own_valkey.pause()
    with pytest.raises(Interrupt), alarm(0.03, interrupt):
        CALLS[name](wire.store)
    own_valkey.resume()
    assert_in_step(wire.store, own_client)
    wire.pool.disconnect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in finalisers
def test_time_limits_at_random_moments_leave_no_reply_behind(
    wire: Wire, redis_client: redis.Redis
) -> None:
    keys = [PREFIX + b"random:%d" % at for at in range(50)]
    redis_client.mset({key: b"V" + key for key in keys})
    store, until = wire.store, time.monotonic() + 0.7
    hits = interrupted = 0
    while time.monotonic() < until or not interrupted:
        try:
            with alarm(0.0001 + interrupted % 97 * 5e-5, interrupt):
                for key in keys:
                    assert store.get(key) == b"V" + key
                    post_end(store)
                    hits += 1
                assert store.get_many(keys) == [b"V" + key for key in keys]
        except Interrupt:
            interrupted += 1
    assert hits
    assert_in_step(store, redis_client)


@every_call
def test_an_exception_between_any_two_calls_leaves_no_reply_behind(
    wire: Wire, redis_client: redis.Redis, name: str
) -> None:
    """Where Python lets a signal's handler run: on entering a function, on leaving one in C."""
    store = wire.store

    def run() -> None:
        post_end(store)
        CALLS[name](store)
        post_end(store)

    run()
    for moment in count(1):
        if not interrupted_at(moment, run):
            break
        assert_in_step(store, redis_client)
        assert wire.sent_by(lambda: store.get(KEY)) == 1, "A hit must be one command again."
        with in_another_thread(lambda: assert_in_step(store, redis_client)):
            pass
    assert moment > 50


def interrupted_at(moment: int, run: Callable[[], object]) -> bool:
    """Raise when the moment-th function is entered, or one in C left. Returns whether one was.

    Not within `logging`, where Python 3.11 would keep the lock of all loggers for ever.
    """
    left = moment

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if event in ("call", "c_return") and frame.f_globals.get("__name__") != "logging":
            left -= 1
            if left == 0:
                raise Interrupt

    sys.setprofile(profile)
    try:
        run()
    except Interrupt:
        pass
    finally:
        sys.setprofile(None)
    return left <= 0


# Replies that are read later


def test_a_posted_end_is_no_round_trip_of_its_own(wire: Wire) -> None:
    told: list[object] = []
    wire.store.begin_write(KEYS, TOKEN, LONG)
    wire.at("before reply", 1, interrupt)
    wire.store.post_end_write(KEYS, TOKEN, told.append)
    assert wire.pending
    assert told == []
    wire.at("never", 1, interrupt)
    wire.store.get(KEY)
    assert told == [0]


def test_a_posted_end_does_not_wait_for_a_server_that_hangs(
    impatient: None, own_valkey: Valkey, own_store: RedisStore
) -> None:
    told: list[object] = []
    own_store.begin_write(KEYS, TOKEN, LONG)
    own_valkey.pause()
    started = time.monotonic()
    own_store.post_end_write(KEYS, TOKEN, told.append)
    assert time.monotonic() - started < conf.DEFAULTS["TIMEOUT"]
    with pytest.raises(StoreUnavailable):
        own_store.get(KEY)
    assert [type(answer) for answer in told] == [StoreUnavailable]
    own_valkey.resume()
    wait_until(lambda: own_store.get(KEY) is None)


def test_a_posted_end_is_carried_out_though_the_connection_was_closed(
    wire: Wire, redis_client: redis.Redis
) -> None:
    """Its mark was lost with the connection (a failover), and the old row was filled since."""
    told: list[object] = []
    store = wire.store
    store.begin_write(KEYS, TOKEN, LONG)
    redis_client.set(KEY, b"V old", px=LONG)
    redis_client.client_kill_filter(_id=client_id(store))
    store.post_end_write(KEYS, TOKEN, told.append)
    store.get(KEYS[1])
    assert told == [1]
    assert redis_client.mget(KEYS) == [None, None, None]
    assert_in_step(store, redis_client)


def test_every_posted_end_is_carried_out_though_the_connection_was_closed(
    wire: Wire, redis_client: redis.Redis
) -> None:
    """The first is sent into the void, and the next one meets the error; so it is with the parts
    of one end of many keys."""
    told: list[object] = []
    store = wire.store
    store.begin_write(KEYS, TOKEN, LONG)
    redis_client.mset(dict.fromkeys(KEYS, b"V old"))
    redis_client.client_kill_filter(_id=client_id(store))
    for key in KEYS:
        store.post_end_write([key], TOKEN, told.append)
        time.sleep(0.02)  # Until the refusal is here.
    store.get(KEY)
    assert sorted(told, key=str) == [1, 1, 1]
    assert redis_client.mget(KEYS) == [None, None, None]


def test_a_posted_end_is_carried_out_by_a_server_that_forgot_the_script(
    own_store: RedisStore, own_client: redis.Redis
) -> None:
    told: list[object] = []
    own_store.begin_write(KEYS, TOKEN, LONG)
    own_client.script_flush()
    own_store.post_end_write(KEYS, TOKEN, told.append)
    assert own_store.get_many(KEYS) == [None, None, None]
    assert told == [0]


def test_a_posted_end_is_carried_out_though_its_thread_has_ended(
    wire: Wire, redis_client: redis.Redis
) -> None:
    def write() -> None:
        wire.store.begin_write(KEYS, TOKEN, LONG)
        wire.store.post_end_write(KEYS, TOKEN, lambda told: None)

    with in_another_thread(write):
        pass
    wait_until(lambda: redis_client.mget(KEYS) == [None, None, None])
    assert_in_step(wire.store, redis_client)
    with in_another_thread(lambda: assert_in_step(wire.store, redis_client)):
        pass


def test_a_forked_child_does_not_read_what_its_parent_is_owed(
    wire: Wire, redis_client: redis.Redis
) -> None:
    told: list[object] = []
    redis_client.set(KEYS[1], b"V")
    wire.store.begin_write([KEY], TOKEN, LONG)
    wire.store.post_end_write([KEY], TOKEN, told.append)
    assert in_child(lambda: repr([wire.store.get(KEYS[1]), told])) == repr([b"V", []])
    assert wire.store.get(KEYS[1]) == b"V"
    assert told == [0]


def test_what_is_told_of_a_posted_end_may_use_the_store(
    wire: Wire, redis_client: redis.Redis
) -> None:
    inner: list[object] = []
    redis_client.mset({KEY: b"V", KEYS[1]: b"V1"})
    wire.store.get(KEY)
    for _ in range(3):
        wire.store.post_end_write([KEYS[2]], TOKEN, lambda told: inner.append(wire.store.get(KEY)))
    assert wire.store.get(KEYS[1]) == b"V1"
    assert inner == [b"V"] * 3
    assert_in_step(wire.store, redis_client)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for the server, which is at it in its own time."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# Commands in the middle of a command


@every_call
@pytest.mark.parametrize("point", POINTS)
def test_a_command_in_the_middle_of_another_gets_its_own_reply(
    wire: Wire, redis_client: redis.Redis, name: str, point: str
) -> None:
    """A signal handler, or an object that is collected, may use the cache as well."""
    inner: list[Any] = []

    def use() -> None:
        inner.append(wire.store.get(PREFIX + b"inner"))
        inner.append(wire.store.get_many([PREFIX + b"inner", KEY + b"none"]))

    redis_client.set(PREFIX + b"inner", b"V inner")
    CALLS[name](wire.store)
    redis_client.delete(*ALL_KEYS)
    expected = CALLS[name](wire.store)
    redis_client.delete(*ALL_KEYS)
    wire.at(point, 1, use)
    assert CALLS[name](wire.store) == expected
    assert inner == [b"V inner", [b"V inner", None]]
    assert_in_step(wire.store, redis_client)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", range(1, 16))
def test_an_exception_in_a_command_in_the_middle_of_another_leaves_no_reply_behind(
    wire: Wire, redis_client: redis.Redis, point: str, nth: int
) -> None:
    """What is raised in a finaliser is swallowed, so the outer command goes on."""

    def use() -> None:
        wire.at(point, nth, interrupt)
        with suppress(Interrupt):
            wire.store.lease([PREFIX + b"inner"] * 3, LEASE, LONG)
        wire.at("never", 1, interrupt)

    redis_client.set(PREFIX + b"inner", b"V inner")
    redis_client.set(KEY, b"V")
    for _ in range(3):
        wire.store.get(KEY)
        wire.at("before reply", 1, use)
        assert wire.store.get(KEY) == b"V"
        with in_another_thread(lambda: assert_in_step(wire.store, redis_client)):
            assert_in_step(wire.store, redis_client)


def test_a_connection_that_two_have_opened_at_once_is_not_lost(wire: Wire) -> None:
    for _ in range(4):
        wire.at("before reply", 1, lambda: wire.store.get(KEY))
        with in_another_thread(lambda: wire.store.get(KEY)):
            pass
        gc.collect()
    assert wire.opened <= 2


def test_signal_handlers_may_read_at_any_moment(wire: Wire, redis_client: redis.Redis) -> None:
    keys = [PREFIX + b"%d" % at for at in range(20)]
    redis_client.mset({key: b"V" + key for key in keys})
    inner: list[bool] = []
    store, until = wire.store, time.monotonic() + 0.5
    while time.monotonic() < until:
        with alarm(0.0005, lambda: inner.append(store.get(keys[7]) == b"V" + keys[7])):
            for key in keys:
                assert store.get(key) == b"V" + key
    assert inner
    assert all(inner)


# Threads and processes


@contextmanager
def in_another_thread(target: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread that starts before the block and ends after it."""
    failures: list[BaseException] = []
    go = threading.Event()

    def run() -> None:
        go.wait()
        try:
            target()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        go.set()
        thread.join(60)
    if thread.is_alive():
        stack = traceback.format_stack(sys._current_frames()[thread.ident or 0])
        raise AssertionError("".join(["The other thread hangs:\n", *stack]))
    if failures:
        raise failures[0]


def test_each_thread_has_a_connection_of_its_own(wire: Wire) -> None:
    ids = [client_id(wire.store)]
    with in_another_thread(lambda: ids.append(client_id(wire.store))):
        pass
    assert len(set(ids)) == 2


def test_the_connection_of_a_thread_that_ended_is_used_again(wire: Wire) -> None:
    ids: list[int] = []
    for _ in range(10):
        with in_another_thread(lambda: ids.append(client_id(wire.store))):
            pass
        gc.collect()
    assert len(set(ids)) == 1
    assert wire.opened == 1


def test_many_threads_get_each_its_own_replies(wire: Wire, redis_client: redis.Redis) -> None:
    redis_client.mset({key: b"V" + key for key in MANY[:200]})
    wrong: list[bytes] = []

    def read(keys: list[bytes]) -> None:
        for key in keys * 5:
            if wire.store.get(key) != b"V" + key:
                wrong.append(key)

    threads = [threading.Thread(target=read, args=(MANY[at:200:8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_child_has_a_connection_of_its_own(wire: Wire, redis_client: redis.Redis) -> None:
    redis_client.mset({key: b"V" + key for key in KEYS})
    wire.store.get(KEY)
    mine = client_id(wire.store)

    def act() -> str:
        answers = [wire.store.get(key) for key in KEYS * 20]
        return f"{answers == [b'V' + key for key in KEYS * 20]} {client_id(wire.store)}"

    right, number = in_child(act).split()
    assert right == "True"
    assert int(number) != mine
    # The child's end has not closed the parent's connection.
    assert client_id(wire.store) == mine
    assert_in_step(wire.store, redis_client)


@pytest.mark.parametrize("point", POINTS)
def test_a_fork_in_the_middle_of_a_command_disturbs_neither(
    wire: Wire, redis_client: redis.Redis, point: str
) -> None:
    redis_client.mset({key: b"V" + key for key in KEYS})
    mine = client_id(wire.store)
    answers: list[str] = []
    wire.at(point, 1, lambda: answers.append(in_child(lambda: repr(wire.store.get(KEYS[1])))))
    assert wire.store.get(KEY) == b"V" + KEY
    assert answers == [repr(b"V" + KEYS[1])]
    assert client_id(wire.store) == mine
    assert_in_step(wire.store, redis_client)
