"""A real browser, and the checks of every page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.servers.choice import find_program, give_up_program

AXE: Final = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_PATIENCE_MILLISECONDS: Final = 30_000
PHONE: Final = {"width": 320, "height": 640}
DESKTOP: Final = {"width": 1280, "height": 800}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start headless Chromium; otherwise skip, or fail if it or axe-core is required."""
    program = find_program("chromium", "chromium")
    if not AXE.exists():
        give_up_program("chromium", "its tests need axe-core: npm ci")
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    # The sandbox does not work for root. Only our own pages are opened.
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser,
    ):
        yield browser


class Visit:
    """One page in a fresh browser profile. At the end, it asserts that there were no hidden errors."""

    def __init__(self, browser: Browser, origin: str, **options: Any) -> None:
        self._context = browser.new_context(**{"viewport": DESKTOP, "locale": "en", **options})
        self._origin = origin
        self.requests: list[Request] = []
        self.expects_failures = False
        self._messages: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self._messages.append(str(error)))

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._context.close()
        if kind is None:
            assert self._messages == []
            foreign = [url for url in (request.url for request in self.requests) if not url.startswith(self._origin)]
            assert [url for url in foreign if not url.startswith("data:")] == []

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """The bodies of POST requests, and their paths."""
        return [
            (urlsplit(request.url).path, request.post_data_json)
            for request in self.requests
            if request.method == "POST"
        ]

    def open(self, path: str) -> None:
        self.page.goto(f"{self._origin}{path}")

    def check_accessibility(self) -> None:
        """Assert that axe-core finds nothing, and that the page does not scroll sideways."""
        self.page.evaluate(AXE.read_text())
        result = self.page.evaluate("axe.run()")
        assert [(found["id"], [node["html"] for node in found["nodes"]]) for found in result["violations"]] == []
        assert result["passes"]
        width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert self.page.evaluate(width)

    def _note(self, message: ConsoleMessage) -> None:
        # The browser itself logs responses of 400 and above, which the page handles.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._messages.append(message.text)
