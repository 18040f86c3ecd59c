"""The pictures of the dashboard in ``docs/images``: ``python docs/screenshots.py``.

Taken of the example shop, with visitors in it, once there is something to see. Needs Chromium.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import django
from django.core.management import call_command
from playwright.sync_api import Browser, sync_playwright

from example_project.demo.load import Load
from example_project.demo.scratch import scratch
from example_project.servers import running_servers
from tests.browser.chromium import chromium

IMAGES = Path(__file__).parent / "images"
MINUTES = float(os.environ.get("MINUTES", "6"))
"""How long visitors are in the shop before."""
LOAD = Load(seconds=0, products=2000, readers=0, writers=1, writes_per_second=1, check_share=0)


def main() -> None:
    with running_servers() as servers, scratch(servers) as environment:
        os.environ |= environment
        os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.config.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        from example_project.demo.opening import open_shop
        from example_project.shop.factories import create_shop

        create_shop(LOAD.products)
        with open_shop(LOAD) as shop:
            time.sleep(MINUTES * 60)
            with _browser() as browser:
                for scheme in ("light", "dark"):
                    _take(browser, shop, scheme, "dashboard", 1280, 1500)
                _take(browser, shop, "light", "dashboard-phone", 390, 844)


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


def _take(browser: Browser, shop: Any, scheme: Any, name: str, width: int, height: int) -> None:
    from example_project.demo.opening import NAME, PASSWORD

    page = browser.new_page(
        color_scheme=scheme, viewport={"width": width, "height": height}, device_scale_factor=1
    )
    page.goto(shop.dashboard)
    page.fill("#id_username", NAME)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_selector("canvas")
    page.wait_for_load_state("networkidle")
    suffix = "" if name.endswith("phone") else f"-{scheme}"
    page.screenshot(path=IMAGES / f"{name}{suffix}.png")
    page.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
