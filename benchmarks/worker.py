"""One measuring process: started by `session`, reports in JSON on the last line that it prints."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Any

import django


def main(task: str, *arguments: str) -> Any:
    """Make the tables, profile, or run the part of a benchmark that belongs to this process."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    if task == "tables":
        return import_module("benchmarks.rows").make_tables()
    if task == "machine":
        return import_module("benchmarks.machine").described()
    if task == "profile":
        *what, lines = arguments
        return import_module("benchmarks.profile").report(*what, int(lines))
    process, rounds = os.environ["BENCHMARKS_PROCESS"], int(arguments[0])
    sections = import_module(f"benchmarks.{task}").measure(process, rounds)
    return [asdict(section) for section in sections]


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
