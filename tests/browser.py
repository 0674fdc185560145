"""The system's Chromium for tests of pages."""

from __future__ import annotations

import atexit
import shutil
from functools import cache

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright


@cache
def _playwright() -> Playwright:
    """One per process: while it runs, a second cannot be started, and no other event loop in its thread."""
    started = sync_playwright().start()
    atexit.register(started.stop)
    return started


def chromium(*words: str) -> Browser:
    """A new browser; close it after use. Skips the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    return _playwright().chromium.launch(executable_path=path, args=["--no-sandbox", *words])
