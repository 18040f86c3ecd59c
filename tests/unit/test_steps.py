"""The two drivers of scripts: what holds for one holds for the other."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from django_cachepatterns.steps import Join, Load, Script, arun, run

Drive = Callable[..., Any]


def no_load(asked: Sequence[Any]) -> Any:
    raise AssertionError(f"nobody asked for {asked}")


def in_a_coroutine(script: Script[Any], load: Callable[[Sequence[Any]], Any] = no_load) -> Any:
    async def aload(asked: Sequence[Any]) -> Any:
        await asyncio.sleep(0)
        return load(asked)

    return asyncio.run(arun(script, aload))


@pytest.fixture(params=["thread", "coroutine"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Runs a script to its end."""
    if request.param == "coroutine":
        return in_a_coroutine
    return lambda script, load=no_load: run(script, load)


def failing(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def test_a_script_returns_its_value(drive: Drive) -> None:
    def script() -> Script[str]:
        return "value"
        yield

    assert drive(script()) == "value"


def test_what_steps_give_is_sent_back(drive: Drive) -> None:
    def script() -> Script[list[Any]]:
        one = yield lambda: 1
        loaded = yield Load(["a", "b"])
        nothing = yield lambda: None
        return [one, loaded, nothing]

    assert drive(script(), lambda asked: {"asked": asked}) == [1, {"asked": ["a", "b"]}, None]


def caught(error: BaseException) -> Script[tuple[str, BaseException] | None]:
    """A script that cleans up with another command."""
    try:
        yield failing(error)
    except BaseException as raised:
        cleaned = yield lambda: "cleaned"
        return cleaned, raised
    return None


def test_what_a_command_raises_is_raised_in_the_script(drive: Drive) -> None:
    error = ValueError("no")
    assert drive(caught(error)) == ("cleaned", error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_process_is_raised_in_the_script_too(error: BaseException) -> None:
    assert run(caught(error), no_load) == ("cleaned", error)


def test_what_a_load_raises_is_raised_in_the_script(drive: Drive) -> None:
    def load(asked: Sequence[Any]) -> Any:
        raise LookupError(*asked)

    def script() -> Script[str]:
        try:
            yield Load(["row"])
        except LookupError as error:
            return f"caught {error}"
        return "not raised"

    assert drive(script(), load) == "caught row"


def test_what_a_script_does_not_catch_reaches_the_caller_after_its_last_steps(
    drive: Drive,
) -> None:
    done: list[str] = []

    def script() -> Script[None]:
        try:
            yield failing(ValueError("no"))
        finally:
            yield lambda: done.append("released")

    with pytest.raises(ValueError, match="no"):
        drive(script())
    assert done == ["released"]


def test_what_is_raised_in_a_last_step_reaches_the_caller(drive: Drive) -> None:
    def script() -> Script[None]:
        try:
            yield failing(ValueError("first"))
        except ValueError:
            yield failing(OSError("second"))

    with pytest.raises(OSError, match="second"):
        drive(script())


def test_a_join_gives_what_the_future_gets(drive: Drive) -> None:
    future: Future[str] = Future()

    def script() -> Script[Any]:
        return (yield Join(future, 10))

    timer = threading.Timer(0.02, future.set_result, ["landed"])
    timer.start()
    assert drive(script()) == "landed"
    timer.join()


def test_a_join_that_takes_too_long_gives_none_and_leaves_the_future_alone(drive: Drive) -> None:
    future: Future[str] = Future()

    def script() -> Script[Any]:
        return [(yield Join(future, 0.01)), (yield Join(future, 0.01))]

    assert drive(script()) == [None, None]
    assert not future.cancelled()
    future.set_result("landed")

    def again() -> Script[Any]:
        return (yield Join(future, 0.01))

    assert drive(again()) == "landed"


def test_a_future_that_lands_after_its_loop_was_closed_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    future: Future[str] = Future()

    def script() -> Script[Any]:
        return (yield Join(future, 0.01))

    with caplog.at_level(logging.DEBUG):
        assert in_a_coroutine(script()) is None
        future.set_result("landed")
    assert [record for record in caplog.records if record.name != "asyncio"] == []


# Coroutines only


def test_commands_do_not_hold_up_the_loop() -> None:
    async def main() -> bool:
        ticked = threading.Event()

        def script() -> Script[bool]:
            return (yield lambda: ticked.wait(10))

        task = asyncio.create_task(arun(script(), no_load))
        await asyncio.sleep(0.01)
        ticked.set()
        return await task

    assert asyncio.run(main())


def test_commands_of_two_coroutines_do_not_wait_for_one_another() -> None:
    async def main() -> list[bool]:
        meeting = threading.Barrier(2)

        def script() -> Script[bool]:
            return (yield lambda: meeting.wait(10) >= 0)

        return await asyncio.gather(*(arun(script(), no_load) for _ in range(2)))

    assert asyncio.run(main()) == [True, True]


def test_a_coroutine_that_is_cancelled_in_a_load_does_its_last_steps() -> None:
    done: list[str] = []

    def script() -> Script[None]:
        try:
            yield Load(["row"])
        except asyncio.CancelledError:
            yield lambda: done.append("released")
            raise

    async def main() -> None:
        loading = asyncio.Event()

        async def load(asked: Sequence[Any]) -> None:
            loading.set()
            await asyncio.sleep(10)

        task = asyncio.create_task(arun(script(), load))
        await loading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    began = time.monotonic()
    asyncio.run(main())
    assert done == ["released"]
    assert time.monotonic() - began < 5


def test_a_coroutine_that_is_cancelled_in_a_join_leaves_the_future_to_the_others() -> None:
    future: Future[str] = Future()

    def script() -> Script[Any]:
        return (yield Join(future, 10))

    async def main() -> str:
        first, second = (asyncio.create_task(arun(script(), no_load)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not future.cancelled()
        future.set_result("landed")
        return str(await second)

    assert asyncio.run(main()) == "landed"
