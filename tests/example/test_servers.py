from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from example_project.servers import Valkey, running_servers, running_valkey
from example_project.servers.postgres import running_postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_both_servers_answer_over_tcp(nothing_given: None) -> None:
    with running_servers(durable=False) as servers:
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
            assert connection.execute("SHOW max_connections").fetchone() == ("200",)
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()


def test_nothing_is_started_for_a_server_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example/shop")
    monkeypatch.setenv("REDIS_URL", "redis://cache.example/3")
    with running_servers() as servers:
        assert servers.environment == {
            "DATABASE_URL": "postgres://db.example/shop",
            "REDIS_URL": "redis://cache.example/3",
        }
        assert servers.postgres is None
        assert servers.valkey is None


def test_data_is_still_there_the_next_time(nothing_given: None, tmp_path: Path) -> None:
    with (
        running_servers(tmp_path, durable=False) as servers,
        psycopg.connect(servers.database_url, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE kept ()")
    with (
        running_servers(tmp_path, durable=False) as servers,
        psycopg.connect(servers.database_url) as connection,
    ):
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_process_is_killed(
    nothing_given: None, tmp_path: Path, number: signal.Signals
) -> None:
    script = (
        "import time; from example_project.servers import running_servers\n"
        "with running_servers(durable=False) as servers:\n"
        "    print(servers.database_url, servers.redis_url, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        database_url, redis_url = process.stdout.readline().split()
        process.send_signal(number)
    deadline = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url)
    with (
        redis.Redis.from_url(redis_url, retry=None) as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()


def test_valkey_comes_back_empty_on_the_same_port_after_a_crash(own_valkey: Valkey) -> None:
    url, pid = own_valkey.url, own_valkey.pid
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
        own_valkey.kill()
        own_valkey.start()
        assert (own_valkey.url, own_valkey.pid == pid) == (url, False)
        assert client.get("key") is None


def test_valkey_hangs_while_it_is_paused(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url, socket_timeout=0.1, retry=None) as client:
        client.ping()
        own_valkey.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_valkey.resume()
        assert client.ping()


def test_a_durable_valkey_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    with (
        running_valkey(tmp_path, durable=True) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.set("key", "old")
        server.copy_data(tmp_path / "copy")
        client.set("key", "new")
        server.kill()
        server.start()
        assert client.get("key") == b"new"
        server.kill()
        server.put_back(tmp_path / "copy")
        server.start()
        assert client.get("key") == b"old"


def test_postgres_is_killed_and_comes_back_with_its_data_on_the_same_port(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        url = server.url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT n FROM kept")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        assert server.url == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
