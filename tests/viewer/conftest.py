"""A real browser for testing the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chromium

expect.set_options(timeout=30_000)  # on a busy machine a page takes longer than the usual 5 s


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    found = chromium()
    yield found
    found.close()
