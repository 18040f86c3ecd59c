"""Where the browser is that the tests of the dashboard drive."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
REMEDY = "Install Chromium (apt-get install chromium), or name one in the variable CHROMIUM."


def chromium() -> str | None:
    """The path of a Chromium: that in the variable CHROMIUM, or one that is installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
