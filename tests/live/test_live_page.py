"""The live page in Chromium with a fake camera that plays a file."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from abaw.inference.video import load_models
from abaw.live.analyser import Analyser
from abaw.live.sources import Picture
from abaw.video.detecting.registry import open_detector
from tests.browser import chromium
from tests.video.clips import portraits

pytest.importorskip("aiohttp")

from abaw.live.server import LiveServer

SIZES = [(1280, 800), (360, 740)]


def people_of(count: int) -> list[np.ndarray]:
    """640×360 pictures with so many faces."""
    pictures = []
    for one in portraits(30, 256):
        canvas = np.full((360, 640, 3), 128, np.uint8)
        for index in range(count):
            canvas[52:308, 32 + 300 * index : 288 + 300 * index] = one if index == 0 else one[:, ::-1]
        pictures.append(canvas)
    return pictures


def pictures_on(page: Page) -> int:
    """How many pictures the page has shown."""
    return int(page.locator("html").get_attribute("data-frames") or 0)


def wait_for_pictures(page: Page, count: int) -> None:
    deadline = time.monotonic() + 30
    while pictures_on(page) < count:
        assert time.monotonic() < deadline, f"{pictures_on(page)} of {count} pictures in 30 s"
        page.wait_for_timeout(20)


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["nobody", "one", "two"])
def people(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def camera(people: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose camera plays a file, in a loop."""
    file = tmp_path_factory.mktemp("camera") / "camera.y4m"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for picture in people_of(people):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    browser = chromium(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={file}",
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def analyser() -> Callable[[], Analyser]:
    detector, models = open_detector("builtin"), load_models(Path("builtin"), accelerator="cpu")
    return lambda: Analyser(detector, models, 0.2)


@pytest.fixture
def server(analyser: Callable[[], Analyser], tmp_path: Path) -> Iterator[LiveServer]:
    """Running in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = LiveServer(analyser, True, tmp_path)
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(30)
    yield made
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_boxes_bars_and_timeline(
    camera: Browser, server: LiveServer, people: int, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    context = camera.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    faults: list[str] = []
    addresses: list[str] = []
    page = context.new_page()
    page.on("console", lambda news: faults.append(news.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    page.goto(server.address)
    page.get_by_role("button", name="start camera").click()
    wait_for_pictures(page, 8)
    heading = page.locator("#who")
    if people:
        expect(heading).to_contain_text("Person 1:")
        expect(page.locator("#bars li.best output")).to_contain_text("%")
    else:
        expect(heading).to_have_text("Nobody in the picture")
    assert page.evaluate("[document.getElementById('picture').width, document.getElementById('picture').height]") == [
        640,
        360,
    ]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="record results").click()
    expect(page.get_by_role("button", name="stop recording")).to_be_visible()
    seen = pictures_on(page)
    wait_for_pictures(page, seen + 3)
    page.get_by_role("button", name="stop recording").click()
    expect(page.get_by_role("button", name="record results")).to_be_visible()
    page.screenshot(path=tmp_path / f"live_{people}_{size[0]}_{scheme}.png", full_page=True)
    context.close()
    assert faults == []
    assert addresses and all(f"//127.0.0.1:{server.port}/" in address for address in addresses)
    assert len(list(tmp_path.glob("live_*.jsonl"))) == 1


@pytest.mark.slow
def test_a_source_of_the_server_is_shown(
    camera: Browser, analyser: Callable[[], Analyser], people: int, tmp_path: Path
) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = LiveServer(analyser, False, tmp_path)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    page = camera.new_page()
    faults: list[str] = []
    page.on("console", lambda news: faults.append(news.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(server.address)
    expect(page.get_by_role("button", name="record results")).to_be_enabled()
    one = analyser()
    for index, image in enumerate(people_of(people)[:6]):
        picture = Picture(image, 0.04 * index)
        shown = server.show(picture.image, one.push(picture.image, picture.due), {"latency_ms": 5.0})
        asyncio.run_coroutine_threadsafe(shown, loop).result(30)
    wait_for_pictures(page, 6)
    assert page.locator("#who").inner_text().startswith("Person 1:" if people else "Nobody")
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    expect(page.locator("#state")).to_contain_text("abaw live has ended")
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    page.close()
    assert faults == []
