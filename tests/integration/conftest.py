from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections


@pytest.fixture
def elsewhere() -> Callable[..., Any]:
    """Runs something in another thread, with database connections of its own."""

    def run(function: Callable[..., Any], *args: Any) -> Any:
        outcome: list[Any] = []

        def target() -> None:
            try:
                outcome.append((function(*args), None))
            except BaseException as error:
                outcome.append((None, error))
            finally:
                connections.close_all()

        thread = threading.Thread(target=target)
        thread.start()
        thread.join(20)
        assert outcome, "the other thread hangs"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return run
