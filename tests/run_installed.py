"""Runs the suite against the installed package: ``run_installed.py FOLDER [PYTEST ARGS...]``.

The tests are copied to a folder first, because pytest would otherwise put the checkout, with the
package's sources in it, in front of what is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = "django_cachepatterns"
SUITE = ("tests", "example_project", "benchmarks", "pyproject.toml")


def main(folder: Path, arguments: list[str]) -> int:
    copy_suite(folder)
    installed = installed_package()
    if installed.is_relative_to(CHECKOUT) and "site-packages" not in installed.parts:
        sys.exit(f"{PACKAGE} was found at {installed}: that is the checkout, not the wheel.")
    if missing := files_of(CHECKOUT / PACKAGE) - files_of(installed):
        sys.exit(f"The wheel lacks {', '.join(sorted(missing))}.")
    print(f"Testing {installed}, with all of its {len(files_of(installed))} files.", flush=True)
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=folder)


def copy_suite(folder: Path) -> None:
    """Copy what the tests are made of, over whatever an earlier run has left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in SUITE:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)


def installed_package() -> Path:
    """Where Python finds the package: this script's folder is on its path, the checkout is not."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        sys.exit(f"{PACKAGE} is not installed.")
    return Path(spec.origin).resolve().parent


def files_of(package: Path) -> set[str]:
    """Its files: modules, and also Lua scripts, templates, static files and ``py.typed``."""
    return {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
