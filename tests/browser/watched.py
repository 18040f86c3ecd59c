"""What a page of the browser complained of while a test used it."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

LISTEN = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => {
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
        console.error(`CSP violation: ${event.violatedDirective}: ${event.blockedURI}`);
    });
"""


class Watched:
    """Listens to a page from before it is opened.

    Args:
        page: the page.
        host: the only one that may be asked for anything, with its port.
    """

    def __init__(self, page: Page, host: str) -> None:
        self.host = host
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.add_init_script(LISTEN)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._requested)

    def elsewhere(self) -> list[str]:
        """Requests to other hosts."""
        return [
            url
            for url in self.asked
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != self.host
        ]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)
